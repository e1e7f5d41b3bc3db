// How a channel comes to be: opens of ours, opens of the other side, and what stock SSH software
// asks for instead (sessions, direct-tcpip, direct-streamlocal).
#include "channel_state.hpp"

#include <streamkit/base/text.hpp>

namespace streamkit {
namespace {

constexpr std::size_t kMaxEnvironment = 16 * 1024;  // bytes of env requests a session

// A refusal's code travels as the first word of its description: "not_found: no service named x".
Code code_in(std::string_view description) {
  const std::string_view word = description.substr(0, description.find(':'));
  for (int c = 1; c <= static_cast<int>(Code::unauthenticated); ++c)
    if (to_string(static_cast<Code>(c)) == word) return static_cast<Code>(c);
  return Code::unknown;
}

Errc errc_of(const channel::OpenFailed& e, Code code) {
  if (e.timed_out) return Errc::timeout;
  switch (code) {
    case Code::not_found:
      return Errc::no_such_service;
    case Code::resource_exhausted:
      return Errc::limit;
    case Code::deadline_exceeded:
      return Errc::timeout;
    default:
      break;
  }
  if (e.reason == channel::OpenFailure::resource_shortage) return Errc::limit;
  if (e.reason == channel::OpenFailure::unknown_type) return Errc::no_such_service;
  return Errc::refused;
}

channel::OpenFailure reason_of(Code code) {
  switch (code) {
    case Code::permission_denied:
    case Code::unauthenticated:
      return channel::OpenFailure::prohibited;
    case Code::resource_exhausted:
      return channel::OpenFailure::resource_shortage;
    default:
      return channel::OpenFailure::connect_failed;
  }
}

}  // namespace

// ---------------------------------------------------------------- answers

Result<Channel> ChannelState::confirm(const Headers& response) {
  if (phase != Phase::incoming) return Error(Errc::closed, "the opener has gone");
  if (info.type == "session") {
    if (owes_reply_)
      if (Result<void> r = mux().reply(id_, true); !r) return r.error();
  } else if (is_native) {
    if (Result<void> r = mux().confirm(id_, response, io::now()); !r) return r.error();
  } else if (Result<void> r = mux().confirm_raw(id_, {}, io::now()); !r) {
    return r.error();
  }
  phase = Phase::open;
  connection_->kick();
  return Channel(shared_from_this());
}

void ChannelState::refuse(Code code, std::string_view message) {
  if (phase == Phase::session || (phase == Phase::incoming && info.type == "session")) {
    if (phase == Phase::incoming && owes_reply_) (void)mux().reply(id_, false);
    phase = Phase::open;
    closing_ = true;
    const std::string text = std::string(message) + "\r\n";
    (void)mux().write(id_, Lane::error, as_bytes(text), io::now());
    (void)mux().close(id_, Status(code, {}, std::string(message)), {}, io::now());
    return connection_->kick();
  }
  if (phase != Phase::incoming) return;
  phase = Phase::closed;
  released_ = true;
  (void)mux().refuse(id_, reason_of(code),
                     std::string(to_string(code)) + ": " + std::string(message));
  connection_->forget(id_);
  connection_->kick();
}

// ---------------------------------------------------------------- our opens

void ChannelState::opened(channel::Opened& e) {
  response_headers = std::move(e.headers);
  phase = Phase::open;
  if (abandoned_) return reset(Code::cancelled, "the opener stopped waiting");
  if (info.type == "session" && on_opened) return start_service();
  if (on_opened) tell_opened(Channel(shared_from_this()));
}

void ChannelState::tell_opened(Result<Channel> channel) {
  if (const auto done = std::move(on_opened)) finish(*done, std::move(channel));
}

void ChannelState::open_failed(const channel::OpenFailed& e) {
  phase = Phase::closed;
  released_ = true;
  if (!on_opened) return;
  const Code code = code_in(e.description);
  std::string words = escape(e.description, 512);
  if (e.timed_out)
    words = "the other side did not answer the open of '" + escape(info.service) + "' in time";
  if (words.empty()) words = "the other side refused '" + escape(info.service) + "'";
  tell_opened(Error(errc_of(e, code), std::move(words)));
}

void stop_waiting_for(const std::shared_ptr<ChannelState>& child) {
  if (!child) return;
  child->reset(Code::cancelled, "the opener stopped waiting");
  child->connection()->kick();
}

void ChannelState::run_in_session(OpenForm form, std::string service, Headers environment) {
  info.service = std::move(service);
  info.headers = std::move(environment);
  info.type = "session";
  session_form_ = form;
}

void ChannelState::start_service() {
  const bool is_exec = session_form_ == OpenForm::session_exec;
  for (const auto& [name, value] : info.headers) {
    Bytes payload;
    wire::Writer(payload).string(name).string(value);
    (void)mux().request(id_, "env", false, payload);
  }
  Bytes payload;
  wire::Writer(payload).string(info.service);
  if (const Result<void> r = mux().request(id_, is_exec ? "exec" : "subsystem", true, payload);
      !r) {
    tell_opened(r.error());
    reset(Code::internal, {});
  }
}

void ChannelState::replied(bool ok) {
  if (!on_opened) return;
  if (ok) {
    tell_opened(Channel(shared_from_this()));
  } else {
    tell_opened(Error(Errc::no_such_service,
                      "the server refused to run '" + escape(info.service) + "'"));
    (void)close({}, {});
  }
}

// ---------------------------------------------------------------- a stock client's session

void ChannelState::requested(channel::Request& e) {
  const auto answer = [&](bool ok) {
    if (e.want_reply) (void)mux().reply(id_, ok);
  };
  if (phase != Phase::session) return answer(false);
  wire::Reader reader(e.payload);
  if (e.type == "env") {
    const std::string_view name = reader.text();
    const std::string_view value = reader.text();
    environment_bytes_ += static_cast<std::uint32_t>(e.payload.size());
    const bool good = reader.end() && environment_bytes_ <= kMaxEnvironment;
    // What every ssh client sends unasked is not meant for the service.
    if (good && name != "LANG" && name.substr(0, 3) != "LC_")
      info.headers.add(std::string(name), std::string(value));
    return answer(good);
  }
  // Whatever else is asked for (pty-req, x11-req, auth-agent-req, ...) names no service.
  std::string service = e.type == "shell" ? "shell" : "";
  if (e.type == "exec" || e.type == "subsystem") {
    service = reader.text();
    if (!reader.end()) return answer(false);
  }
  if (e.type == "exec") {
    const std::size_t space = service.find(' ');
    if (space != std::string::npos) {
      info.headers.add("args", service.substr(space + 1));
      service.resize(space);
    }
  }
  if (!channel::is_valid_service_name(service)) return answer(false);
  // The answer is the service's: mux keeps the request's turn until confirm() or refuse(). Some
  // clients (Dropbear's) want none and take the data, or the end, for it.
  info.service = std::move(service);
  phase = Phase::incoming;
  owes_reply_ = e.want_reply;
  const OpenRequest request{*info.remote, info.service, info.headers, info.type};
  ConnectionOwner* owner = connection_->owner();
  const Result<void> allowed =
      owner ? owner->authorize(*connection_, request) : Result<void>(Errc::shutting_down);
  if (!allowed)
    return refuse(allowed.error().is(Errc::limit) ? Code::resource_exhausted : Code::permission_denied, allowed.error().message());
  owner->incoming(*connection_, shared_from_this());
}

}  // namespace streamkit
