// Stock SSH clients as tunnel clients. The rules that OpenSSH's client imposes: a forwarded-tcpip
// must carry the bind address exactly as it was sent and the port as it was answered, and the only
// text the client shows is what its session prints.
#include "stock_ssh.hpp"

#include <streamkit/base/text.hpp>

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace streamkit::tunnel {
namespace {

constexpr std::size_t kMaxLines = 64;         // kept for a session that comes later
constexpr std::size_t kMaxQueue = 64 * 1024;  // bytes for a session that does not read
constexpr std::size_t kMaxSessions = 4;       // per link
constexpr std::size_t kMaxForwards = 1024;  // per link; the limit per key is lower and comes first
constexpr std::uint32_t kHttpPort = 80;
constexpr std::uint32_t kHttpsPort = 443;
constexpr std::array<std::string_view, 7> kNoNames = {"",          "localhost", "*", "0.0.0.0",
                                                      "127.0.0.1", "::1",       "::"};

bool same_place(const ForwardRequest& a, const ForwardRequest& b) {
  return a.is_path == b.is_path && a.bind == b.bind;
}

}  // namespace

Result<ForwardMeaning> meaning_of(const ForwardRequest& request, std::string_view domain) {
  ForwardMeaning meaning;
  if (request.is_path) {
    if (request.bind.size() < 2 || request.bind.front() != '/') {
      return Error(Errc::bad_name, "a path that names a tunnel looks like /NAME");
    }
    meaning.name = request.bind.substr(1);
  } else if (std::find(kNoNames.begin(), kNoNames.end(), request.bind) == kNoNames.end()) {
    const auto label = label_of_host(request.bind, domain);
    meaning.name = label && !label->empty() ? *label : request.bind;
  } else if (request.port != kHttpPort && request.port != kHttpsPort) {
    if (request.port > 65535)
      return Error(Errc::refused, fmt::format("{} is no port", request.port));
    meaning.kind = Kind::tcp;
    meaning.port = static_cast<std::uint16_t>(request.port);
  }
  if (meaning.name.empty()) return meaning;
  auto name = check_name(meaning.name);
  if (!name) return name.error();
  meaning.name = std::move(*name);
  return meaning;
}

Result<std::uint32_t> StockClients::forward(const ForwardRequest& request) {
  if (request.cancel) return cancel(request);
  auto granted = grant(request);
  if (!granted) say(request.from.link, "refused: " + granted.error().message());
  return granted;
}

Result<std::uint32_t> StockClients::grant(const ForwardRequest& request) {
  auto meaning = meaning_of(request, domain_);
  if (!meaning) {
    registry_->refused(request.from, meaning.error().message());
    return meaning.error();
  }
  const std::uint64_t link = request.from.link;
  Client& client = clients_[link];
  if (client.forwards.size() >= kMaxForwards)
    return Error(Errc::limit, "too many forwards on one link");
  const std::uint64_t number = ++last_forward_;
  const auto port = std::make_shared<std::uint32_t>(0);

  Wish wish;
  wish.kind = meaning->kind;
  wish.name = meaning->name;
  wish.port = meaning->port;
  wish.from = request.from;
  wish.target = "ssh -R";
  wish.stock_ssh = true;
  wish.open = [weak = weak_from_this(), request, port](const io::Address& visitor,
                                                       Completion<Channel> done) {
    const auto self = weak.lock();
    if (!self) return;
    self->peer_.async_open_forwarded(request, *port, visitor.host, visitor.port,
                                     Until(after(io::now(), self->open_timeout_)), std::move(done));
  };
  wish.end = [weak = weak_from_this(), link, number](const Status& why) {
    const auto self = weak.lock();
    if (!self) return;
    self->say(link, why.message);
    if (const auto at = self->clients_.find(link); at != self->clients_.end())
      at->second.forwards.erase(number);
  };
  auto granted = registry_->claim(std::move(wish));
  if (!granted) return granted.error();
  *port = request.port != 0                 ? request.port
          : granted->info.kind == Kind::tcp ? granted->info.port
                                            : kHttpPort;
  client.forwards.emplace(number, Forward{request, *port, granted->claim});
  say(link, granted->info.url + " -> your side");
  return *port;
}

Result<std::uint32_t> StockClients::cancel(const ForwardRequest& request) {
  const auto client = clients_.find(request.from.link);
  if (client == clients_.end()) return Error(Errc::refused, "nothing is forwarded");
  for (const auto& [number, forward] : client->second.forwards) {
    if (!same_place(forward.request, request)) continue;
    if (!request.is_path && request.port != forward.request.port && request.port != forward.port)
      continue;
    const ClaimId claim = forward.claim;
    const std::uint32_t port = forward.port;
    client->second.forwards.erase(number);
    registry_->release(claim);
    return port;
  }
  return Error(Errc::refused, "that is not forwarded");
}

void StockClients::disconnected(const PeerInfo& who, const Error& why) {
  auto client = clients_.extract(who.link);
  if (client.empty()) return;
  // A client that says goodbye will not come back for its names; a lost one might.
  const bool orderly = why.is(Errc::disconnected);
  for (const auto& [number, forward] : client.mapped().forwards) {
    if (orderly) {
      registry_->release(forward.claim);
    } else {
      registry_->lost(forward.claim);
    }
  }
}

// ------------------------------------------------------------------------------------- sessions

void StockClients::session(Incoming incoming) {
  const std::uint64_t link = incoming.info().remote->link;
  if (incoming.info().type != "session")
    return incoming.refuse(Code::not_found, "for stock ssh clients only");
  Client& client = clients_[link];
  if (client.sessions.size() >= kMaxSessions) {
    return incoming.refuse(Code::resource_exhausted, "too many sessions on one link");
  }
  auto channel = incoming.accept();
  if (!channel) return;
  const auto session = std::make_shared<Session>();
  session->channel = std::move(*channel);
  client.sessions.push_back(session);
  if (client.lines.empty()) {
    write(session, "no tunnel yet; for example: ssh -R 80:localhost:3000 ... for an HTTP name");
  }
  for (const std::string& line : client.lines) write(session, line);
  write(session, "press Ctrl-C to end");
  listen(link, session);
}

void StockClients::say(std::uint64_t link, const std::string& line) {
  Client& client = clients_[link];
  client.lines.push_back(line);
  if (client.lines.size() > kMaxLines) client.lines.pop_front();
  for (const auto& session : client.sessions) write(session, line);
}

// CRLF: the client's terminal is in raw mode.
void StockClients::write(const std::shared_ptr<Session>& session, const std::string& line) {
  const std::string text = escape(line) + "\r\n";
  if (session->queue.size() + text.size() > kMaxQueue) return;
  session->queue += text;
  pump(session);
}

void StockClients::pump(const std::shared_ptr<Session>& session) {
  if (!session->writing.empty() || session->queue.empty()) return;
  session->writing = std::exchange(session->queue, {});
  session->channel.async_write(as_bytes(session->writing),
                               [weak = weak_from_this(), session](Result<void> written) {
                                 session->writing.clear();
                                 const auto self = weak.lock();
                                 if (self && written) self->pump(session);
                               });
}

// A terminal sends Ctrl-C and Ctrl-D as bytes. The end of its input means nothing: the client may
// have been started with none. The session ends when the client closes it.
void StockClients::listen(std::uint64_t link, const std::shared_ptr<Session>& session) {
  session->channel.async_read(
      session->input, [weak = weak_from_this(), link, session](Result<std::size_t> n) {
        const auto self = weak.lock();
        if (!self) return;
        if (!n && n.error().is(Errc::eof)) {
          return session->channel.async_wait_closed([weak, link, session](Result<Closed>) {
            if (const auto again = weak.lock()) again->drop(link, session);
          });
        }
        if (!n) return self->drop(link, session);
        const auto keys = as_text(ByteView(session->input).first(*n));
        if (keys.find_first_of("\x03\x04") == std::string_view::npos)
          return self->listen(link, session);
        self->drop(link, session);
      });
}

void StockClients::drop(std::uint64_t link, const std::shared_ptr<Session>& session) {
  if (const auto at = clients_.find(link); at != clients_.end())
    std::erase(at->second.sessions, session);
  if (!session->channel.close()) session->channel.reset();
}

void StockClients::close(const std::string& why) {
  for (auto& [link, client] : clients_) {
    for (const auto& session : std::exchange(client.sessions, {})) {
      write(session, why);
      if (!session->channel.close()) session->channel.reset();
    }
  }
}

}  // namespace streamkit::tunnel
