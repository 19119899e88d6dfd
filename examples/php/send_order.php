<?php
// Sends a purchase to TrackLayer and reads what became of it. Needs PHP 8.1 or newer, without extensions.
//
//   API_KEY=tl_... php send_order.php [EVENT_ID]

declare(strict_types=1);

const ATTEMPTS = 8;
const RETRIED = [408, 429, 500, 502, 503, 504];

const SEND = <<<'GRAPHQL'
mutation SendEvent($input: IngestEventInput!) {
  ingestEvent(input: $input) {
    outcome
    userErrors { field code message }
  }
}
GRAPHQL;
const ASK = <<<'GRAPHQL'
query EventStatus($eventId: String!) {
  event(eventId: $eventId) {
    deliveries { platform status dropReason }
  }
}
GRAPHQL;

/** The answer's data. What may have been lost on the way is sent again, byte for byte: a repeat of an event is only counted. */
function ask(string $query, array $variables): array
{
    $url = (getenv('API_URL') ?: 'http://127.0.0.1:8000') . '/graphql';
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => ['Authorization: Bearer ' . getenv('API_KEY'), 'Content-Type: application/json'],
        'content' => json_encode(['query' => $query, 'variables' => $variables], JSON_THROW_ON_ERROR),
        'timeout' => 30,
        'ignore_errors' => true, // so that the text of a refusal is read, too
    ]]);
    for ($attempt = 0; $attempt < ATTEMPTS; $attempt++) {
        $wait = min(2 ** $attempt, 60);
        $http_response_header = [];
        $text = @file_get_contents($url, false, $context);
        $status = preg_match('{^HTTP/\S+ (\d+)}', $http_response_header[0] ?? '', $found) ? (int) $found[1] : 0;
        $answer = $status === 200 && $text !== false ? json_decode($text, true) : null;
        if (isset($answer['errors'])) {
            fail('refused: ' . json_encode($answer['errors']));
        }
        if (isset($answer['data'])) {
            return $answer['data'];
        }
        // Status 0, or 200 with no answer: nobody answered, or half an answer came, or a proxy's page. It may have been stored, so ask again.
        if ($status !== 0 && $status !== 200 && !in_array($status, RETRIED, true)) {
            fail("status $status: $text");
        }
        foreach ($http_response_header as $header) {
            if (preg_match('{^Retry-After:\s*(\d+)}i', $header, $found)) {
                $wait = max($wait, (int) $found[1]);
            }
        }
        usleep($wait * 1_000_000 + random_int(0, 1_000_000));
    }
    fail('TrackLayer does not answer: keep the event, and send it again later');
}

function fail(string $message): never
{
    fwrite(STDERR, "$message\n");
    exit(1);
}

$event = [
    'eventName' => 'Purchase',
    // Your order's id: the same whenever this order is sent, so that it is counted once.
    'eventId' => $argv[1] ?? 'order_' . time(),
    'occurredAt' => gmdate('Y-m-d\TH:i:s\Z'),
    'eventSourceUrl' => 'https://shop.example.com/thank-you',
    'userData' => [
        'email' => 'jane@example.com',
        'clientIp' => '203.0.113.42',
        'clientUserAgent' => 'Mozilla/5.0',
        'gaClientId' => '1234567890.1713877200',
    ],
    'customData' => ['value' => 129.99, 'currency' => 'USD'],
];
$result = ask(SEND, ['input' => $event])['ingestEvent'];
echo $event['eventId'], ' ', $result['outcome'], "\n";
foreach ($result['userErrors'] as $problem) { // why it was rejected, or warnings beside an accepted event
    fwrite(STDERR, "{$problem['code']} {$problem['message']}\n");
}
if ($result['outcome'] === 'REJECTED') {
    exit(1);
}

for ($look = 0; $look < 60; $look++) {
    $deliveries = ask(ASK, ['eventId' => $event['eventId']])['event']['deliveries'] ?? [];
    $waiting = array_filter($deliveries, fn ($one) => !in_array($one['status'], ['DELIVERED', 'DROPPED'], true));
    if (!$waiting) {
        break;
    }
    usleep(500_000);
}
foreach ($deliveries as $delivery) {
    echo $delivery['platform'], ' ', $delivery['status'], ' ', $delivery['dropReason'] ?? '', "\n";
}
