"""What we want to reach: each a figure of ours, and a number or another subject's figure in the same run."""

import dataclasses
import statistics


def ratio(ours, theirs):
    """The median of the rounds' ratios: what the machine does for a while then hits both sides of one."""
    return statistics.median(a / b for a, b in zip(ours, theirs))


@dataclasses.dataclass(frozen=True)
class Target:
    """`row` and `variant` are ours. Without `against` the bound is absolute, else a ratio to that subject's figure."""

    row: str
    variant: str
    bound: float
    against: tuple = ()  # subject, variant
    at_most: bool = False
    field: str = "value"  # of a run: value, cpu_s_per_gb, p99_us, bulk_mb_s
    difference: bool = False  # the bound is of ours minus theirs

    def words(self):
        sign = "<=" if self.at_most else ">="
        what = "" if self.field == "value" else self.field + " "
        if not self.against:
            return f"{what}{sign} {self.bound:g}"
        other = " ".join(self.against)
        return f"{what}{sign} {self.bound:g} more than {other}" if self.difference else f"{what}{sign} {self.bound:g} x {other}"

    def figure(self, ours, theirs):
        """What is compared with the bound, from both sides' figures by rounds; None where something was not measured."""
        if not ours or (self.against and not theirs):
            return None
        if self.difference:
            return statistics.median(a - b for a, b in zip(ours, theirs))
        return ratio(ours, theirs) if self.against else statistics.median(ours)

    def is_reached(self, figure):
        return figure <= self.bound if self.at_most else figure >= self.bound


TARGETS = [
    Target("stream", "aes128-gcm", 0.95, ("limit", "aes128-gcm")),
    Target("stream", "aes128-gcm", 1.8, ("openssh", "aes128-gcm")),
    Target("stream", "aes128-gcm", 1.65, ("libssh", "aes128-gcm")),
    Target("stream", "aes128-gcm", 1.2, ("tls", "aes128-gcm")),
    Target("stream", "aes128-gcm", 1.1, ("limit", "aes128-gcm"), at_most=True, field="cpu_s_per_gb"),
    Target("stream", "aes256-gcm", 0.95, ("limit", "aes256-gcm")),
    Target("stream", "chacha20-poly1305", 0.95, ("limit", "chacha20-poly1305")),
    Target("stream", "aes128-gcm-fast", 0.9, ("limit", "aes128-gcm-fast")),
    Target("stream", "aes128-gcm-fast", 3, ("openssh", "aes128-gcm")),
    Target("stream", "aes128-gcm-fast", 2.9, ("libssh", "aes128-gcm")),
    Target("stream", "aes128-gcm-fast", 2, ("tls", "aes128-gcm")),
    Target("frames-32k", "completion", 0.9, ("limit", "batched")),
    Target("frames-64", "readiness", 0.5, ("limit", "batched")),
    Target("frames-1k", "readiness", 0.8, ("limit", "batched")),
    Target("frames-64", "blocking", 5e6),
    Target("frames-64", "completion", 1, ("zeromq", "clear")),
    Target("frames-1k", "completion", 1, ("zeromq", "clear")),
    Target("ping", "completion", 1.10, ("tcp", "blocking"), at_most=True),
    Target("ping", "blocking", 1.15, ("tcp", "blocking"), at_most=True),
    Target("ping", "spinning", 2, ("limit", "spinning"), at_most=True),
    Target("open-close", "blocking", 2, ("libssh", "aes128-gcm")),
    Target("open-close-64", "completion", 3, ("libssh", "aes128-gcm")),
    Target("connect", "blocking", 1.6, ("libssh", "aes128-gcm")),
    Target("connect-4", "completion", 0.6, ("limit", "arithmetic")),
    Target("idle-channels", "default", 1, at_most=True),
    Target("idle-connections", "default", 16, at_most=True),
    Target("ping-beside-bulk", "completion", 1.1, ("limit", "lowat"), at_most=True, field="p99_us"),
    Target("ping-beside-bulk", "completion", 0.9, ("limit", "lowat"), field="bulk_mb_s"),
    Target("gateway", "default", 1, ("limit", "default")),
    Target("gateway", "default", 1.05, ("openssh", "aes128-gcm")),
    Target("gateway-connect", "default", 6000),
    Target("http-1k-keepalive", "default", 20000),
    Target("http-1k-keepalive", "default", 0.5, ("nginx", "proxy")),
    Target("http-1k-keepalive", "default", 2, ("openssh", "aes128-gcm")),
    Target("http-1k-new", "default", 0.5, ("nginx", "proxy")),
    Target("http-1k-new", "default", 2, ("openssh", "aes128-gcm")),
    Target("http-1m-keepalive", "default", 0.5, ("nginx", "proxy")),
    Target("http-1m-keepalive", "default", 2, ("openssh", "aes128-gcm")),
    Target("http-1k-single", "default", 150, ("tcp", "direct"), at_most=True, difference=True),
    # What a program would use that wants the most: small frames by readiness, large ones moved.
    Target("inproc-64", "readiness", 20),
    Target("inproc-4k", "owned", 20),
    Target("inproc-64k", "owned", 50),
    Target("inproc-64", "readiness", 1, ("zeromq", "inproc")),
    Target("inproc-4k", "owned", 1, ("zeromq", "inproc")),
    Target("inproc-64k", "owned", 1, ("zeromq", "inproc")),
    Target("inproc-64", "readiness", 1, ("go", "channel")),
    Target("inproc-4k", "owned", 1, ("go", "channel")),
    Target("inproc-64k", "owned", 1, ("go", "channel")),
    Target("delay-100ms", "default", 0.9 * 16 * 1024 * 1024 / 0.1 / 1e6),
]

# What a row may lose with many idle ones beside it (--growth).
GROWTH_BOUND = 0.9
GROWTH_ROWS = ("stream", "frames-64", "frames-1k", "ping", "open-close", "open-close-64", "call", "ping-beside-bulk")
GROWTH_CHANNELS, GROWTH_CONNECTIONS = 10_000, 1_000
GROWTH_SUFFIX = "+idle"
