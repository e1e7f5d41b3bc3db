// What we ask the other side to listen on (RFC 4254 section 7, and OpenSSH's PROTOCOL section 2.4
// for paths), and the connections that come in from there. What the other side asks of us is the
// owner's to grant.
#include "connection.hpp"

#include <streamkit/base/text.hpp>

#include <algorithm>

namespace streamkit {
namespace {

bool is_place(const ForwardRequest& asked, std::string_view bind, std::uint32_t port,
              bool is_path) {
  return asked.is_path == is_path && asked.bind == bind && (is_path || asked.port == port);
}

Result<void> check(const ForwardRequest& wanted, std::string_view service) {
  if (wanted.bind.size() > kMaxForwardBind || wanted.port > 65535 ||
      (wanted.is_path && wanted.bind.empty()))
    return Error(Errc::usage,
                 "to be listened on are an address and a port of 0 to 65535, or a path, of at most "
                 "1024 bytes");
  if (!wanted.cancel && !channel::is_valid_service_name(service))
    return Error(Errc::bad_name,
                 "a service name has 1 to 255 bytes of UTF-8 without control characters");
  return {};
}

}  // namespace

void Connection::request_forward(ForwardRequest wanted, std::string service,
                                 Completion<std::uint32_t> done) {
  const auto fail = [&](const Error& error) {
    complete([done = std::move(done), error]() mutable { done(error); });
  };
  if (const Result<void> good = check(wanted, service); !good) return fail(good.error());
  if (!is_up()) return fail(Errc::connection_lost);
  if (settings_.is_shared)
    return fail(Error(Errc::usage,
                      "the ssh of a control socket passes no answers on: have it forward itself "
                      "(ssh -O forward -R ...)"));
  std::string type = wanted.is_path ? "streamlocal-forward@openssh.com" : "tcpip-forward";
  if (wanted.cancel) type.insert(0, "cancel-");
  Bytes payload;
  wire::Writer writer(payload);
  writer.string(wanted.bind);
  if (!wanted.is_path) writer.u32(wanted.port);
  const Result<std::uint64_t> token = mux_.global_request(type, true, payload);
  if (!token) return fail(token.error());
  if (!forwards_) forwards_ = std::make_unique<Forwards>();
  // From now on no connection is asked for: what is on its way meanwhile is refused.
  if (wanted.cancel)
    std::erase_if(forwards_->granted, [&](const Forwards::Granted& g) {
      return is_place(wanted, g.bind, g.port, g.is_path);
    });
  forwards_->asked.push_back({*token, std::move(wanted), std::move(service), std::move(done)});
  kick();
}

Result<std::uint32_t> Connection::settle(const ForwardRequest& asked, const std::string& service,
                                         const channel::GlobalReply& reply) {
  if (!reply.ok)
    return Error(Errc::refused,
                 "the other side will not " +
                     std::string(asked.cancel ? "stop listening on " : "listen on ") +
                     escape(asked.bind, 255) +
                     (asked.is_path ? "" : ":" + std::to_string(asked.port)));
  if (asked.cancel) return asked.port;
  std::uint32_t port = asked.is_path ? 0 : asked.port;
  if (!asked.is_path && port == 0) {
    wire::Reader reader(reply.payload);
    port = reader.u32();
    if (!reader.end() || port == 0 || port > 65535)
      return Error(Errc::protocol, "the other side listens, and did not say on which port");
  }
  forwards_->granted.push_back({asked.bind, port, asked.is_path, service});
  return port;
}

bool Connection::handle_forward_reply(const channel::GlobalReply& e) {
  if (!forwards_ || forwards_->asked.empty() || forwards_->asked.front().token != e.token)
    return false;
  Forwards::Asked asked = std::move(forwards_->asked.front());
  forwards_->asked.pop_front();
  complete([done = std::move(asked.done), result = settle(asked.what, asked.service, e)]() mutable {
    done(result);
  });
  return true;
}

// The address and port come back exactly as they were asked for, or as they were chosen.
bool Connection::read_forwarded(std::string_view type, wire::Reader& reader,
                                ChannelInfo& info) const {
  const bool is_path = type == kForwardedLocal;
  const std::string_view bind = reader.text();
  const std::uint32_t port = is_path ? 0 : reader.u32();
  if (is_path) {
    reader.string();
  } else {
    info.headers.add("originator", std::string(reader.text()));
    if (reader.u32() > 65535) reader.fail();
  }
  if (!forwards_) return false;
  const auto it = std::find_if(forwards_->granted.begin(), forwards_->granted.end(),
                               [&](const Forwards::Granted& g) {
                                 return g.is_path == is_path && g.bind == bind && g.port == port;
                               });
  if (it == forwards_->granted.end()) return false;
  info.service = it->service;
  return true;
}

void Connection::fail_forward_requests(const Error& error) {
  if (!forwards_) return;
  for (Forwards::Asked& asked : std::exchange(forwards_->asked, {}))
    complete([done = std::move(asked.done), error]() mutable { done(error); });
}

}  // namespace streamkit
