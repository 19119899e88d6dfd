#!/usr/bin/env bash
# Sends a purchase to TrackLayer and reads what became of it. Needs bash, and curl 7.71 or newer (for --retry-all-errors).
#
#   API_KEY=tl_... ./send_order.sh [EVENT_ID]
set -euo pipefail
: "${API_KEY:?set API_KEY to an API key of yours}"

url="${API_URL:-http://127.0.0.1:8000}/graphql"
# Your order's id: the same whenever this order is sent, so that it is counted once.
event_id="${1:-order_$(date +%s)}"

send='
mutation SendEvent($input: IngestEventInput!) {
  ingestEvent(input: $input) {
    outcome
    userErrors { field code message }
  }
}
'
ask='
query EventStatus($eventId: String!) {
  event(eventId: $eventId) {
    deliveries { platform status dropReason }
  }
}
'

# What may have been lost on the way (no answer, 408, 429, 500, 502, 503, 504) is sent again, byte for byte, after what Retry-After
# says, else after 1, 2, 4 ... seconds: a repeat of an event is only counted. Into a file, so that of half an answer nothing stays.
# What TrackLayer answers has data or errors: half of that, or a proxy's page, is no answer, whatever its status.
reply="$(mktemp)"
trap 'rm -f "$reply"' EXIT
post() {
  local status pause
  for pause in 1 2 4 8 16 32; do
    status="$(curl --output "$reply" --write-out '%{http_code}' --silent --show-error \
      --retry 7 --retry-connrefused --retry-all-errors --max-time 30 "$url" \
      -H "Authorization: Bearer $API_KEY" -H "Content-Type: application/json" -d "$1")" || break
    if [ "$status" != 200 ] || grep -qE '^\{.*"(data|errors)":.*\}$' "$reply"; then cat "$reply"; return; fi
    sleep "$pause"
  done
  echo "TrackLayer does not answer: keep the event, and send it again later" >&2
  return 1
}

on_one_line() { tr '\n' ' ' <<< "$1"; }

answer="$(post "{
  \"query\": \"$(on_one_line "$send")\",
  \"variables\": {\"input\": {
    \"eventName\": \"Purchase\", \"eventId\": \"$event_id\", \"occurredAt\": \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\",
    \"eventSourceUrl\": \"https://shop.example.com/thank-you\",
    \"userData\": {\"email\": \"jane@example.com\", \"clientIp\": \"203.0.113.42\", \"clientUserAgent\": \"Mozilla/5.0\",
                   \"gaClientId\": \"1234567890.1713877200\"},
    \"customData\": {\"value\": 129.99, \"currency\": \"USD\"}
  }}
}")"
outcome="$(grep -o '"outcome":"[A-Z]*"' <<< "$answer" | cut -d '"' -f 4)" || { echo "refused: $answer" >&2; exit 1; }
echo "$event_id $outcome"
if [ "$outcome" = REJECTED ]; then echo "$answer" >&2; exit 1; fi

for _ in $(seq 60); do
  answer="$(post "{\"query\": \"$(on_one_line "$ask")\", \"variables\": {\"eventId\": \"$event_id\"}}")"
  if ! grep -qE '"status":"(QUEUED|FAILED)"' <<< "$answer"; then break; fi
  sleep 0.5
done
grep -oE '"platform":"[A-Z0-9_]+","status":"[A-Z]+"' <<< "$answer" | cut -d '"' -f 4,8 | tr '"' ' '
