// golang.org/x/crypto/ssh, client and server, as a rival in the benchmark; and Go's channels and
// io.Pipe in process. One goroutine a channel, blocking reads and writes, as its documentation shows.
package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	frames64, frames1k          = 1000000, 1000000
	openings, openingsInFlight  = 20000, 100000
	inFlight                    = 64
	connections                 = 3000
	idleChannels, idleConnected = 10000, 1000
	pingsBesideBulk             = 3000
	inproc64, inproc4k          = 20000000, 4000000
	inproc64k                   = 200000
	channelRoom                 = 1024
	user                        = "bench"
)

// ---------------------------------------------------------------- the two ends

func cipherOf(t task) string {
	if t.variant == "chacha20-poly1305" {
		return "chacha20-poly1305@openssh.com"
	}
	return "aes128-gcm@openssh.com"
}

func sshConfig(t task) ssh.Config {
	return ssh.Config{Ciphers: []string{cipherOf(t)}, KeyExchanges: []string{"curve25519-sha256"}}
}

type keys struct{ host, user ssh.Signer }

func signer(seed []byte) ssh.Signer {
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed))
	must(err, "a key")
	return s
}

func newKeys() (keys, string) {
	var seeds []string
	for i := 0; i < 2; i++ {
		_, private, err := ed25519.GenerateKey(nil)
		must(err, "a key")
		seeds = append(seeds, hex.EncodeToString(private.Seed()))
	}
	text := strings.Join(seeds, ":")
	return keysFrom(text), text
}

func keysFrom(text string) keys {
	var signers []ssh.Signer
	for _, part := range strings.Split(text, ":") {
		seed, err := hex.DecodeString(part)
		must(err, "keys")
		signers = append(signers, signer(seed))
	}
	return keys{signers[0], signers[1]}
}

type pair struct {
	t     task
	keys  keys
	port  string
	other *other
}

// newPair starts the other process, whose part is `serve`; in that process it serves and never
// returns.
func newPair(t task, serve func(connection *ssh.ServerConn, channels <-chan ssh.NewChannel)) pair {
	if isOther() {
		serveAll(t, keysFrom(os.Getenv(partVariable)), serve)
	}
	k, text := newKeys()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(err, "listen")
	p := pair{t, k, listener.Addr().String(), start(listener, text)}
	listener.Close()
	return p
}

func serveAll(t task, k keys, serve func(*ssh.ServerConn, <-chan ssh.NewChannel)) {
	known := string(k.user.PublicKey().Marshal())
	config := &ssh.ServerConfig{
		Config: sshConfig(t),
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) != known {
				return nil, fmt.Errorf("another key")
			}
			return nil, nil
		},
	}
	config.AddHostKey(k.host)
	listener := otherListener()
	for {
		socket, err := listener.Accept()
		must(err, "accept")
		go func() {
			connection, channels, requests, err := ssh.NewServerConn(socket, config)
			must(err, "the login")
			go ssh.DiscardRequests(requests)
			serve(connection, channels)
		}()
	}
}

func (p pair) connect() *ssh.Client {
	client, err := ssh.Dial("tcp", p.port, &ssh.ClientConfig{
		Config:            sshConfig(p.t),
		User:              user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(p.keys.user)},
		HostKeyCallback:   ssh.FixedHostKey(p.keys.host.PublicKey()),
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	})
	must(err, "connecting")
	return client
}

func open(client *ssh.Client, kind string) ssh.Channel {
	channel, requests, err := client.OpenChannel(kind, nil)
	must(err, "a channel")
	go ssh.DiscardRequests(requests)
	return channel
}

func accept(asked ssh.NewChannel) ssh.Channel {
	channel, requests, err := asked.Accept()
	must(err, "a channel")
	go ssh.DiscardRequests(requests)
	return channel
}

func writeAll(to io.Writer, bytes []byte) {
	_, err := to.Write(bytes)
	must(err, "writing")
}

func readAll(from io.Reader, bytes []byte) {
	_, err := io.ReadFull(from, bytes)
	must(err, "reading")
}

// ---------------------------------------------------------------- one way, round trips

func oneWay(t task, count, size int, countsBytes bool) figure {
	p := newPair(t, func(_ *ssh.ServerConn, channels <-chan ssh.NewChannel) {
		channel := accept(<-channels)
		before := cpuSeconds()
		buffer := make([]byte, piece)
		for left := count * size; left > 0; {
			n, err := channel.Read(buffer)
			must(err, "reading")
			left -= n
		}
		say(cpuSeconds() - before)
	})
	channel := open(p.connect(), "bench")
	frame := make([]byte, size)
	before, begin := cpuSeconds(), time.Now()
	for i := 0; i < count; i++ {
		writeAll(channel, frame)
	}
	far := p.other.number()
	seconds := time.Since(begin).Seconds()
	cpu := cpuSeconds() - before + far
	p.other.kill()
	if !countsBytes {
		return figure{"value": float64(count) / seconds}
	}
	bytes := float64(count * size)
	return figure{"value": bytes * 1e-6 / seconds, "cpu_s_per_gb": cpu / (bytes * 1e-9)}
}

func echoChannels(_ *ssh.ServerConn, channels <-chan ssh.NewChannel) {
	for asked := range channels {
		channel := accept(asked)
		if asked.ChannelType() == "bulk" {
			go io.Copy(io.Discard, channel)
		} else {
			go io.Copy(channel, channel)
		}
	}
}

func pingPong(t task) figure {
	p := newPair(t, echoChannels)
	channel := open(p.connect(), "ping")
	bytes := make([]byte, pingBytes)
	f := ping(t, func() {
		writeAll(channel, bytes)
		readAll(channel, bytes)
	})
	p.other.kill()
	return f
}

func pingBesideBulk(t task) figure {
	p := newPair(t, echoChannels)
	client := p.connect()
	bulk, pinging := open(client, "bulk"), open(client, "ping")
	var sent int64
	var lock sync.Mutex
	go func() {
		bytes := make([]byte, 32<<10)
		for {
			if _, err := bulk.Write(bytes); err != nil {
				return // the row is over
			}
			lock.Lock()
			sent += int64(len(bytes))
			lock.Unlock()
		}
	}()
	sentSoFar := func() int64 {
		lock.Lock()
		defer lock.Unlock()
		return sent
	}
	bytes := make([]byte, pingBytes)
	roundTrip := func() {
		writeAll(pinging, bytes)
		readAll(pinging, bytes)
	}
	for sentSoFar() == 0 {
		roundTrip()
	}
	var samples []time.Duration
	sentBefore, begin := sentSoFar(), time.Now()
	for i := t.amount(pingsBesideBulk, 20); i > 0; i-- {
		at := time.Now()
		roundTrip()
		samples = append(samples, time.Since(at))
	}
	rate := float64(sentSoFar()-sentBefore) * 1e-6 / time.Since(begin).Seconds()
	p50 := percentile(samples, 50)
	p.other.kill()
	return figure{"value": p50, "p50_us": p50, "p99_us": percentile(samples, 99), "bulk_mb_s": rate}
}

// ---------------------------------------------------------------- channels, connections

// closeWhenTold closes its side of each channel when the client does.
func closeWhenTold(_ *ssh.ServerConn, channels <-chan ssh.NewChannel) {
	for asked := range channels {
		channel, requests, err := asked.Accept()
		must(err, "a channel")
		go func() {
			ssh.DiscardRequests(requests) // until it is closed
			channel.Close()
		}()
	}
}

func openClose(t task, whole, atOnce int) figure {
	p := newPair(t, closeWhenTold)
	client := p.connect()
	each := t.amount(whole/atOnce, 1)
	begin := time.Now()
	inParallel(atOnce, func() {
		for i := 0; i < each; i++ {
			must(open(client, "bench").Close(), "closing")
		}
	})
	seconds := time.Since(begin).Seconds()
	p.other.kill()
	return figure{"value": float64(each*atOnce) / seconds}
}

func connects(t task, atOnce int) figure {
	p := newPair(t, func(connection *ssh.ServerConn, _ <-chan ssh.NewChannel) { connection.Wait() })
	each := t.amount(connections/atOnce, 1)
	begin := time.Now()
	inParallel(atOnce, func() {
		for i := 0; i < each; i++ {
			p.connect().Close()
		}
	})
	seconds := time.Since(begin).Seconds()
	p.other.kill()
	return figure{"value": float64(each*atOnce) / seconds}
}

func inParallel(count int, work func()) {
	var all sync.WaitGroup
	for i := 0; i < count; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			work()
		}()
	}
	all.Wait()
}

// ---------------------------------------------------------------- memory

// memoryServer says what this process holds whenever a channel of the type "memory" is asked for.
func memoryServer(connection *ssh.ServerConn, channels <-chan ssh.NewChannel) {
	for asked := range channels {
		if asked.ChannelType() == "memory" {
			say(memoryKib())
			asked.Reject(ssh.Prohibited, "said")
		} else {
			accept(asked)
		}
	}
}

func idle(t task, whole int, more func(pair, *ssh.Client)) figure {
	p := newPair(t, memoryServer)
	first := p.connect()
	more(p, first)
	measure := func() (float64, float64) {
		first.OpenChannel("memory", nil)
		return memoryKib(), p.other.number()
	}
	count := t.amount(whole, 1)
	nearBefore, farBefore := measure()
	for i := 0; i < count; i++ {
		more(p, first)
	}
	near, far := measure()
	near, far = (near-nearBefore)/float64(count), (far-farBefore)/float64(count)
	p.other.kill()
	worse := near
	if far > near {
		worse = far
	}
	return figure{"value": worse, "client_kib": near, "server_kib": far}
}

// ---------------------------------------------------------------- in process

// inChannel passes slices, each one made for its message.
func inChannel(count, size int) float64 {
	source := make([]byte, size)
	source[size-1] = 1
	messages := make(chan []byte, channelRoom)
	done := make(chan int)
	begin := time.Now()
	go func() {
		sum := 0
		for message := range messages {
			sum += int(message[len(message)-1])
		}
		done <- sum
	}()
	for i := 0; i < count; i++ {
		messages <- append([]byte(nil), source...)
	}
	close(messages)
	if <-done != count {
		fail("in process", fmt.Errorf("other messages arrived than were sent"))
	}
	return time.Since(begin).Seconds()
}

func inPipe(count, size int) float64 {
	reader, writer := io.Pipe()
	source := make([]byte, size)
	done := make(chan bool)
	begin := time.Now()
	go func() {
		buffer := make([]byte, size)
		for i := 0; i < count; i++ {
			readAll(reader, buffer)
		}
		done <- true
	}()
	for i := 0; i < count; i++ {
		writeAll(writer, source)
	}
	<-done
	return time.Since(begin).Seconds()
}

func inproc(t task, whole, size int) float64 {
	count := t.amount(whole, 1)
	if t.variant == "pipe" {
		return float64(count) / inPipe(count, size)
	}
	return float64(count) / inChannel(count, size)
}

func inprocPing(t task) figure {
	there, back := make(chan []byte), make(chan []byte)
	go func() {
		for message := range there {
			back <- message
		}
	}()
	message := make([]byte, pingBytes)
	return ping(t, func() {
		there <- message
		message = <-back
	})
}

func main() {
	var rows []row
	add := func(name, variant, unit string, run func(task) figure) {
		rows = append(rows, row{name, "xcrypto", variant, unit, run})
	}
	addInproc := func(name, variant, unit string, run func(task) figure) {
		rows = append(rows, row{name, "go", variant, unit, run})
	}
	const gcm = "aes128-gcm"
	stream := func(t task) figure { return oneWay(t, t.amount(streamBytes/piece, 1), piece, true) }
	add("stream", gcm, "MB/s", stream)
	add("stream", "chacha20-poly1305", "MB/s", stream)
	add("frames-64", gcm, "frames/s", func(t task) figure { return oneWay(t, t.amount(frames64, 1), 64, false) })
	add("frames-1k", gcm, "frames/s", func(t task) figure { return oneWay(t, t.amount(frames1k, 1), 1024, false) })
	add("frames-32k", gcm, "MB/s", func(t task) figure { return oneWay(t, t.amount(streamBytes>>15, 1), 32<<10, true) })
	add("ping", gcm, "us", pingPong)
	add("open-close", gcm, "channels/s", func(t task) figure { return openClose(t, openings, 1) })
	add("open-close-64", gcm, "channels/s", func(t task) figure { return openClose(t, openingsInFlight, inFlight) })
	add("connect", gcm, "connects/s", func(t task) figure { return connects(t, 1) })
	add("connect-4", gcm, "connects/s", func(t task) figure { return connects(t, 4) })
	add("idle-channels", gcm, "KiB", func(t task) figure {
		return idle(t, idleChannels, func(_ pair, first *ssh.Client) { open(first, "idle") })
	})
	add("idle-connections", gcm, "KiB", func(t task) figure {
		return idle(t, idleConnected, func(p pair, _ *ssh.Client) { p.connect() })
	})
	add("ping-beside-bulk", gcm, "us", pingBesideBulk)
	for _, variant := range []string{"channel", "pipe"} {
		addInproc("inproc-64", variant, "M/s", func(t task) figure { return figure{"value": inproc(t, inproc64, 64) * 1e-6} })
		addInproc("inproc-4k", variant, "GB/s", func(t task) figure { return figure{"value": inproc(t, inproc4k, 4<<10) * 4096e-9} })
		addInproc("inproc-64k", variant, "GB/s", func(t task) figure { return figure{"value": inproc(t, inproc64k, 64<<10) * 65536e-9} })
	}
	addInproc("inproc-ping", "channel", "us", inprocPing)
	runnerMain(rows)
}
