// Whatever an application does to its channels, links and peers inside whichever callback: nothing
// breaks, and everything ends.
#include "support/peer_pair.hpp"

#include <memory>

namespace streamkit::testing {
namespace {

/// One side. Its callbacks run on its Context, and so does everything they touch here.
struct Party {
  std::string name, other;
  std::optional<Peer> peer;
  std::vector<std::shared_ptr<Channel>> channels;
  bool is_stopped = false;
  Endpoint endpoint{"inproc://none"};
};

struct Deed {
  const char* name;
  std::function<void(Party&)> act;
  bool destroys = false;  // the peer, which another thread then does
};

const std::vector<Deed>& deeds() {
  static const std::vector<Deed> all = {
      {"reset_channels",
       [](Party& p) {
         for (const auto& c : p.channels) c->reset(Code::aborted, "inside");
       }},
      {"close_channels",
       [](Party& p) {
         for (const auto& c : p.channels) (void)c->close();
       }},
      {"destroy_channels", [](Party& p) { const auto gone = std::exchange(p.channels, {}); }},
      {"drop_links", [](Party& p) { (void)p.peer->drop(p.other, "inside"); }},
      {"end_the_endpoint",
       [](Party& p) {
         (void)p.peer->disconnect(p.endpoint);
         (void)p.peer->unbind(p.endpoint);
       }},
      {"replace_callbacks",
       [](Party& p) {
         p.peer->events({});
         p.peer->on_open("*", [](Incoming) {});
         p.peer->on_forward({});
       }},
      {"destroy_the_peer", [](Party& p) { p.is_stopped = true; }, true},
  };
  return all;
}

constexpr const char* kMoments[] = {
    "a public_key", "a authorize",  "a connected", "a on_open",      "a accepted",     "a read",
    "a read_frame", "a write",      "a readable",  "a closed",       "a disconnected", "a log",
    "b host_key",   "b connect",    "b connected", "b open",         "b write",        "b writable",
    "b read",       "b read_frame", "b closed",    "b disconnected", "b reconnecting", "b log",
};

/// The life of two peers and a channel, all of it by completions. At one moment of it the deed is
/// done.
class Life : public std::enable_shared_from_this<Life> {
 public:
  Life(std::string kind, std::string moment, const Deed& deed)
      : kind_(std::move(kind)), moment_(std::move(moment)), deed_(deed) {}

  void begin() {
    const crypto::PrivateKey key_a = new_key(), key_b = new_key();
    PeerOptions oa = options_for("a", key_a, key_b.public_key()),
                ob = options_for("b", key_b, key_a.public_key());
    oa.trust.authorized_keys.clear();
    oa.trust.public_key = [self = weak_from_this(), key = key_b.public_key()](
                              const std::string&, const crypto::PublicKey& k) {
      if (const auto life = self.lock()) life->at("a public_key", life->a);
      return k == key;
    };
    oa.authorize = [self = weak_from_this()](const OpenRequest&) -> Result<void> {
      if (const auto life = self.lock()) life->at("a authorize", life->a);
      return {};
    };
    ob.trust.known_host_keys.clear();
    ob.trust.host_key = [self = weak_from_this(), key = key_a.public_key()](
                            const Endpoint&, const crypto::PublicKey& k) {
      if (const auto life = self.lock()) life->at("b host_key", life->b);
      return k == key;
    };
    ob.reconnect.first = ob.reconnect.max = 20ms;
    for (auto& [options, party] :
         {std::pair<PeerOptions&, Party&>(oa, a), std::pair<PeerOptions&, Party&>(ob, b)}) {
      options.log = [self = weak_from_this(), &party = party](std::string_view, std::string_view) {
        if (const auto life = self.lock()) life->at(party.name + " log", party);
      };
      party.peer.emplace(Peer::make(options).value());
      party.peer->events(events_of(party));
    }
    const auto self = shared_from_this();
    a.peer->on_open("echo", [self](Incoming incoming) { self->serve(std::move(incoming)); });
    a.endpoint = b.endpoint = a.peer->bind(fresh_endpoint(kind_, folder_)).value();
    b.peer->async_connect(b.endpoint, 10s,
                          [self](Result<PeerInfo> r) { self->ask(r.has_value()); });
  }
  /// Waits until it is over. Whether the moment came.
  bool end() {
    EXPECT_TRUE(news_.next()) << "nothing ends";
    for (Party* party : {&b, &a}) {
      {
        const io::Context::Lock quiet(party->peer->context());
        party->is_stopped = true;  // whatever is called from now on leaves the peer alone
      }
      party->peer.reset();
      party->channels.clear();
    }
    return was_there_;
  }

  Party a{"a", "b", {}, {}, false}, b{"b", "a", {}, {}, false};

 private:
  /// True while this side may go on.
  bool at(std::string_view moment, Party& party) {
    if (party.is_stopped) return false;
    if (moment != moment_ || was_there_.exchange(true)) return true;
    deed_.act(party);
    if (deed_.destroys || is_last(moment)) over();
    return !party.is_stopped;
  }
  /// One that comes after the channel's end, when a link is lost.
  static bool is_last(std::string_view moment) {
    return moment.ends_with(" disconnected") || moment.ends_with(" reconnecting");
  }
  PeerEvents events_of(Party& party) {
    const auto tell = [self = weak_from_this(), &party](std::string moment) {
      return [self, &party, moment](const auto&...) {
        if (const auto life = self.lock()) life->at(party.name + " " + moment, party);
      };
    };
    PeerEvents events;
    events.connected = tell("connected");
    events.disconnected = tell("disconnected");
    events.reconnecting = tell("reconnecting");
    return events;
  }
  /// b's half: write, read back, close; then the link is dropped by a, dialed again, and left.
  void ask(bool connected) {
    const auto self = shared_from_this();
    if (!at("b connect", b) || !connected) return over();
    b.peer->async_open("a", "echo", {}, 1s, [self](Result<Channel> opened) {
      if (!self->at("b open", self->b) || !opened) return self->over();
      const auto channel = std::make_shared<Channel>(std::move(*opened));
      self->b.channels.push_back(channel);
      channel->on_writable([self] { self->at("b writable", self->b); });
      channel->async_write(ByteView(self->bytes_), [self, channel](Result<void> r) {
        if (!self->at("b write", self->b) || !r) return self->over();
        channel->async_read(self->room_b_, [self, channel](Result<std::size_t> n) {
          if (!self->at("b read", self->b) || !n) return self->over();
          channel->async_write_frame(ByteView(self->bytes_), [](Result<void>) {});
          channel->async_read_frame([self, channel](Result<Bytes> frame) {
            if (!self->at("b read_frame", self->b) || !frame) return self->over();
            channel->async_wait_closed([self, channel](Result<Closed>) {
              if (!self->at("b closed", self->b) || !is_last(self->moment_)) return self->over();
              (void)self->b.peer->drop("a");
            });
            (void)channel->close();
          });
        });
      });
    });
  }
  /// a's half: all that is read goes back, first as bytes, then as a frame.
  void serve(Incoming incoming) {
    const auto self = shared_from_this();
    if (!at("a on_open", a)) return;
    Result<Channel> accepted = incoming.accept();
    if (!at("a accepted", a) || !accepted) return;
    const auto channel = std::make_shared<Channel>(std::move(*accepted));
    a.channels.push_back(channel);
    channel->on_readable([self] { self->at("a readable", self->a); });
    channel->async_read(room_a_, [self, channel](Result<std::size_t> n) {
      if (!self->at("a read", self->a) || !n) return;
      channel->async_write(ByteView(self->room_a_).first(*n), [self, channel](Result<void> r) {
        if (!self->at("a write", self->a) || !r) return;
        channel->async_read_frame([self, channel](Result<Bytes> frame) {
          if (!self->at("a read_frame", self->a) || !frame) return;
          channel->async_write_frame(std::move(*frame), [](Result<void>) {});
          channel->async_wait_closed(
              [self, channel](Result<Closed>) { self->at("a closed", self->a); });
        });
      });
    });
  }
  void over() { news_.put(true); }

  std::string kind_, moment_;
  const Deed& deed_;
  TemporaryFolder folder_;
  Bytes bytes_ = pattern_bytes(1000), room_a_ = Bytes(1000), room_b_ = Bytes(1000);
  std::atomic<bool> was_there_ = false;
  Awaited<bool> news_;
};

class Callbacks : public ::testing::TestWithParam<const char*> {};

TEST_P(Callbacks, c26_may_close_or_destroy_whatever_they_can_reach) {
  const std::string kind = GetParam();
  int came = 0;
  for (const Deed& deed : deeds())
    for (const std::string moment : kMoments) {
      SCOPED_TRACE(moment + ": " + deed.name);
      // In process nobody shows a key, and there is nothing to say about it.
      const bool is_of_ssh = moment.ends_with("_key") || moment.ends_with(" log");
      const auto life = std::make_shared<Life>(kind, moment, deed);
      life->begin();
      const bool was_there = life->end();
      if (!is_of_ssh || kind != "inproc") {
        EXPECT_TRUE(was_there);
      }
      came += was_there ? 1 : 0;
      ASSERT_FALSE(HasFailure());
    }
  EXPECT_GT(came, 100);
}

INSTANTIATE_TEST_SUITE_P(All, Callbacks, ::testing::Values("unix", "tcp", "inproc"));

}  // namespace
}  // namespace streamkit::testing
