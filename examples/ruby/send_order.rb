# Sends a purchase to TrackLayer and reads what became of it. Needs Ruby 3.0 or newer, and nothing else.
#
#   API_KEY=tl_... ruby send_order.rb [EVENT_ID]

require 'json'
require 'net/http'
require 'time'

ENDPOINT = URI("#{ENV.fetch('API_URL', 'http://127.0.0.1:8000')}/graphql")
API_KEY = ENV['API_KEY'] || abort('set API_KEY to an API key of yours')
ATTEMPTS = 8
RETRIED = [408, 429, 500, 502, 503, 504].freeze

SEND = <<~'GRAPHQL'
mutation SendEvent($input: IngestEventInput!) {
  ingestEvent(input: $input) {
    outcome
    userErrors { field code message }
  }
}
GRAPHQL
ASK = <<~'GRAPHQL'
query EventStatus($eventId: String!) {
  event(eventId: $eventId) {
    deliveries { platform status dropReason }
  }
}
GRAPHQL

# The answer's data. What may have been lost on the way is sent again, byte for byte: a repeat of an event is only counted.
def ask(query, variables)
  request = Net::HTTP::Post.new(ENDPOINT, 'authorization' => "Bearer #{API_KEY}", 'content-type' => 'application/json')
  request.body = JSON.generate(query: query, variables: variables)
  ATTEMPTS.times do |attempt|
    wait = [2**attempt, 60].min
    begin
      options = { use_ssl: ENDPOINT.scheme == 'https', open_timeout: 10, read_timeout: 30, max_retries: 0 }
      response = Net::HTTP.start(ENDPOINT.host, ENDPOINT.port, **options) { |http| http.request(request) }
      status = response.code.to_i
      if status == 200
        answer = JSON.parse(response.body)
        abort "refused: #{answer['errors']}" if answer.is_a?(Hash) && answer.key?('errors')
        return answer['data'] if answer.is_a?(Hash) && answer.key?('data')
      elsif !RETRIED.include?(status)
        abort "status #{status}: #{response.body}"
      end
      wait = [wait, response['retry-after'].to_i].max
    rescue SystemCallError, IOError, Timeout::Error, SocketError, OpenSSL::SSL::SSLError, JSON::ParserError,
           Net::ProtocolError, Net::HTTPBadResponse
      # Nobody answered, or half an answer came, or a proxy's page: it may have been stored, so ask again.
    end
    sleep wait + rand
  end
  abort 'TrackLayer does not answer: keep the event, and send it again later'
end

event = {
  eventName: 'Purchase',
  # Your order's id: the same whenever this order is sent, so that it is counted once.
  eventId: ARGV[0] || "order_#{Time.now.to_i}",
  occurredAt: Time.now.utc.iso8601,
  eventSourceUrl: 'https://shop.example.com/thank-you',
  userData: {
    email: 'jane@example.com',
    clientIp: '203.0.113.42',
    clientUserAgent: 'Mozilla/5.0',
    gaClientId: '1234567890.1713877200'
  },
  customData: { value: 129.99, currency: 'USD' }
}
result = ask(SEND, { input: event })['ingestEvent']
puts "#{event[:eventId]} #{result['outcome']}"
# Why it was rejected, or warnings beside an accepted event.
result['userErrors'].each { |problem| warn "#{problem['code']} #{problem['message']}" }
exit 1 if result['outcome'] == 'REJECTED'

deliveries = []
60.times do
  found = ask(ASK, { eventId: event[:eventId] })['event']
  deliveries = found ? found['deliveries'] : []
  break if deliveries.all? { |delivery| %w[DELIVERED DROPPED].include?(delivery['status']) }

  sleep 0.5
end
deliveries.each { |delivery| puts "#{delivery['platform']} #{delivery['status']} #{delivery['dropReason']}" }
