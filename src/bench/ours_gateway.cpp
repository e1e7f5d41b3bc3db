// The program's own gateway: a relay in one process, a tunnel in another, plain TCP or HTTP in at
// the relay and out at the tunnel's target.
#include "ours_gateway.hpp"

#include "gateway_load.hpp"

#include <streamkit/tunnel/relay.hpp>
#include <streamkit/tunnel/tunnel.hpp>

#include <fmt/format.h>

namespace streamkit::bench {
namespace {

constexpr auto kOnlinePatience = std::chrono::seconds(30);

// Numbers, because the two processes tell each other numbers.
constexpr double kNothing = -1, kRelay = 0, kTcpTunnel = 1, kHttpTunnel = 2;

void answer_cpu_until_end(Control& other) {
  while (other.hear() != 0) other.say({cpu_seconds()});
}

void serve_relay(Control& other) {
  tunnel::RelayOptions options;
  options.listen = {"tcp://127.0.0.1:0"};
  options.http = "127.0.0.1:0";
  tunnel::Relay relay = tunnel::Relay::start(std::move(options)).value();
  const std::string http = relay.http_address();
  other.say({static_cast<double>(relay.endpoints().at(0).port()),
             std::stod(http.substr(http.rfind(':') + 1))});
  answer_cpu_until_end(other);
}

void serve_tunnel(Control& other, tunnel::Kind kind, unsigned relay, unsigned target) {
  tunnel::TunnelOptions options;
  options.relay = fmt::format("tcp://127.0.0.1:{}", relay);
  options.kind = kind;
  options.target = tunnel::TunnelTarget::parse(std::to_string(target)).value();
  if (kind == tunnel::Kind::http) options.name = kTunnelName;
  tunnel::Tunnel made = tunnel::Tunnel::start(std::move(options)).value();
  const tunnel::Online online = made.wait_online(kOnlinePatience).value();
  other.say({static_cast<double>(online.port)});
  answer_cpu_until_end(other);
}

Outcome measure_gateway(const Task& task, Control& relay) {
  Sink sink;
  Gateway gateway(task, relay, false, sink.port());
  Outcome outcome = task.row == "gateway"
                        ? stream_through(task, gateway.entry(), sink, [&] { return gateway.cpu(); })
                        : connect_through(task, gateway.entry(), sink);
  gateway.finish();
  return outcome;
}

}  // namespace

Gateway::Gateway(const Task& task, Control& relay, bool http, std::uint16_t target)
    : relay_(relay) {
  // The relay lets in this user's own key, which both find in the configuration folder that run()
  // made.
  relay.say({kRelay, 0, 0});
  const std::vector<double> ports = relay.hear(2);
  tunnel_ = std::make_unique<Other>(task);
  tunnel_->control().say({http ? kHttpTunnel : kTcpTunnel, ports[0], static_cast<double>(target)});
  const double tcp_port = tunnel_->control().hear();
  entry_ = static_cast<std::uint16_t>(http ? ports[1] : tcp_port);
}

double Gateway::cpu() {
  relay_.say({1});
  tunnel_->control().say({1});
  return relay_.hear() + tunnel_->control().hear();
}

void Gateway::finish() {
  relay_.say({0});
  tunnel_->control().say({0});
  tunnel_->finish();
}

void serve_gateway(const Task&, Control& other) {
  const std::vector<double> told = other.hear(3);
  if (told[0] == kNothing) return;
  if (told[0] == kRelay) return serve_relay(other);
  serve_tunnel(other, told[0] == kTcpTunnel ? tunnel::Kind::tcp : tunnel::Kind::http,
               static_cast<unsigned>(told[1]), static_cast<unsigned>(told[2]));
}

Rows our_gateway_rows() {
  return {
      {{"gateway", "ours", "default", "MB/s"}, measure_gateway, serve_gateway},
      {{"gateway-connect", "ours", "default", "connects/s"}, measure_gateway, serve_gateway},
  };
}

}  // namespace streamkit::bench
