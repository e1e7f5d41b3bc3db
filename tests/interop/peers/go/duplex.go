// A peer that behaves as go-streamkit does: the greeting, @duplex channels that are taken as they come, channels on
// channels, trailers, frames, an end that is a CLOSE alone. It serves (duplexServices) and, when --duplex names one of
// duplexChecks, opens channels at the other side and says on standard error how that went, "NAME: words".
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	duplexType    = "@duplex"
	greeting      = "@duplex-greeting"
	greetingLimit = 5 * time.Second
)

type duplexOpen struct {
	Service  string
	Headers  []string
	Attached bool
	Attach   uint32
	Trailers []string
}

type duplexChannel struct {
	ssh.Channel
	duplexOpen
	trailers chan []string
}

// ---------------------------------------------------------------- links

func duplexClient(a arguments, config *ssh.ClientConfig) {
	stream, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", a.port))
	if err != nil {
		fail(err)
	}
	connection, channels, requests, err := ssh.NewClientConn(stream, stream.RemoteAddr().String(), config)
	if err != nil {
		fail(err)
	}
	name := make(chan string, 1)
	go func() {
		for request := range requests {
			var said struct{ Name string }
			if request.Type != greeting || ssh.Unmarshal(request.Payload, &said) != nil {
				request.Reply(false, nil)
				continue
			}
			name <- said.Name
			request.Reply(true, nil)
		}
	}()
	select {
	case said := <-name:
		// As the ancestor does: what follows does not wait until the reply has left.
		duplexLink(a, connection, channels, said)
	case <-time.After(greetingLimit):
		fail(errors.New("greeting timeout"))
	}
}

func duplexServe(a arguments, connection *ssh.ServerConn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	go ssh.DiscardRequests(requests)
	ok, _, err := connection.SendRequest(greeting, true, ssh.Marshal(struct{ Name string }{"go"}))
	if err != nil || !ok {
		fmt.Fprintf(os.Stderr, "the greeting was refused (%v)\n", err)
		connection.Close()
		return
	}
	duplexLink(a, connection, channels, connection.User())
}

// duplexLink serves a link to its end, and does the check that --duplex names.
func duplexLink(a arguments, connection ssh.Conn, channels <-chan ssh.NewChannel, name string) {
	fmt.Fprintf(os.Stderr, "linked to %s\n", name)
	go func() {
		for opening := range channels {
			go duplexAccept(connection, opening)
		}
	}()
	if check := duplexChecks[a.duplex]; check != nil {
		words, err := check(connection)
		if err != nil {
			words = "failed: " + err.Error()
		}
		fmt.Fprintf(os.Stderr, "%s: %s\n", a.duplex, words)
	}
	connection.Wait()
	fmt.Fprintln(os.Stderr, "unlinked")
}

// ---------------------------------------------------------------- channels

func openDuplex(connection ssh.Conn, service string, headers []string, parent *duplexChannel) (*duplexChannel, error) {
	info := duplexOpen{Service: service, Headers: headers}
	if parent != nil {
		info.Attached, info.Attach = true, ssh.RemoteID(parent.Channel)
	}
	return openAs(connection, info)
}

func openAs(connection ssh.Conn, info duplexOpen) (*duplexChannel, error) {
	channel, requests, err := connection.OpenChannel(duplexType, ssh.Marshal(info))
	if err != nil {
		return nil, err
	}
	return newDuplex(channel, requests, info), nil
}

func newDuplex(channel ssh.Channel, requests <-chan *ssh.Request, info duplexOpen) *duplexChannel {
	c := &duplexChannel{channel, info, make(chan []string, 1)}
	go func() {
		var said struct{ Trailers []string }
		for request := range requests {
			ok := request.Type == "trailers" && ssh.Unmarshal(request.Payload, &said) == nil
			request.Reply(ok, nil)
		}
		c.trailers <- said.Trailers // once it is closed
	}()
	return c
}

func (c *duplexChannel) writeTrailers(words ...string) error {
	ok, err := c.SendRequest("trailers", true, ssh.Marshal(struct{ Trailers []string }{words}))
	if err == nil && !ok {
		err = errors.New("the trailers were refused")
	}
	return err
}

func writeFrame(to io.Writer, frame []byte) error {
	_, err := to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
	return err
}

// writeFrameSlowly makes a message of every byte.
func writeFrameSlowly(to io.Writer, frame []byte) error {
	for _, b := range append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...) {
		if _, err := to.Write([]byte{b}); err != nil {
			return err
		}
	}
	return nil
}

func readFrame(from io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(from, frame)
	return frame, err
}

// ---------------------------------------------------------------- services

func duplexAccept(connection ssh.Conn, opening ssh.NewChannel) {
	var info duplexOpen
	if opening.ChannelType() != duplexType {
		return // as the ancestor does: never an answer
	}
	if err := ssh.Unmarshal(opening.ExtraData(), &info); err != nil {
		opening.Reject(ssh.UnknownChannelType, "failed to parse channel data")
		return
	}
	channel, requests, err := opening.Accept()
	if err != nil {
		return
	}
	c := newDuplex(channel, requests, info)
	if serve := duplexServices[info.Service]; serve != nil {
		serve(connection, c)
	}
	c.Close()
}

var duplexServices = map[string]func(ssh.Conn, *duplexChannel){
	// Gives back what comes, ends its data, and says its trailers behind that.
	"echo": func(_ ssh.Conn, c *duplexChannel) {
		io.Copy(c, c)
		c.CloseWrite()
		c.writeTrailers("seen=all", "bare")
	},
	// A frame for each header, a word beside, and a CLOSE alone.
	"headers": func(_ ssh.Conn, c *duplexChannel) {
		writeFrame(c.Stderr(), []byte("a word beside"))
		for _, header := range c.Headers {
			writeFrame(c, []byte(header))
		}
	},
	// Gives back each frame, byte by byte.
	"frames": func(_ ssh.Conn, c *duplexChannel) {
		for {
			frame, err := readFrame(c)
			if err != nil || writeFrameSlowly(c, frame) != nil {
				return
			}
		}
	},
	// Announces a frame of 4 GiB.
	"huge": func(_ ssh.Conn, c *duplexChannel) {
		c.Write([]byte{255, 255, 255, 255, 'x'})
		io.Copy(io.Discard, c)
	},
	// Opens a channel on the channel.
	"nest": func(connection ssh.Conn, c *duplexChannel) {
		child, err := openDuplex(connection, "child", []string{"depth=1"}, c)
		if err != nil {
			writeFrame(c, []byte(err.Error()))
			return
		}
		writeFrame(child, []byte("from below"))
		child.Close()
		io.Copy(io.Discard, c)
	},
	// Speaks only after the other side's end.
	"hold": func(_ ssh.Conn, c *duplexChannel) {
		held, _ := io.ReadAll(c)
		c.Write(append(held, " and all of it"...))
	},
	"leave": func(connection ssh.Conn, _ *duplexChannel) { connection.Close() },
	"die":   func(ssh.Conn, *duplexChannel) { os.Exit(3) },
	"faint": func(ssh.Conn, *duplexChannel) { syscall.Kill(os.Getpid(), syscall.SIGSTOP) },
}

// ---------------------------------------------------------------- checks

func refusal(_ any, err error) (string, error) {
	var refused *ssh.OpenChannelError
	if !errors.As(err, &refused) {
		return "", fmt.Errorf("it was not refused: %v", err)
	}
	return fmt.Sprintf("refused %d %s", refused.Reason, refused.Message), nil
}

var duplexChecks = map[string]func(ssh.Conn) (string, error){
	"echo": func(connection ssh.Conn) (string, error) {
		c, err := openDuplex(connection, "echo", []string{"colour=deep blue", "bare"}, nil)
		if err != nil {
			return "", err
		}
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		go func() {
			c.Write(sent)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("same %v, trailers %s", bytes.Equal(sent, got), strings.Join(<-c.trailers, "|")), nil
	},
	// Opened all at once, each gets what it asked for, and trailers.
	"swap": func(connection ssh.Conn) (string, error) {
		var group sync.WaitGroup
		var right sync.Map
		for i := 0; i < 64; i++ {
			group.Add(1)
			go func(header string) {
				defer group.Done()
				c, err := openDuplex(connection, "headers", []string{header}, nil)
				if err != nil {
					return
				}
				frame, err := readFrame(c)
				rest, _ := io.ReadAll(c)
				trailers := strings.Join(<-c.trailers, "|")
				if err == nil && string(frame) == header && len(rest) == 0 && trailers == "n=1|bare" {
					right.Store(header, true)
				}
			}(fmt.Sprintf("number=%d", i))
		}
		group.Wait()
		n := 0
		right.Range(func(any, any) bool { n++; return true })
		return fmt.Sprintf("%d right", n), nil
	},
	"frames": func(connection ssh.Conn) (string, error) {
		c, err := openDuplex(connection, "frames", nil, nil)
		if err != nil {
			return "", err
		}
		for _, frame := range []string{"", "short", strings.Repeat("long ", 100)} {
			if err := writeFrameSlowly(c, []byte(frame)); err != nil {
				return "", err
			}
			if got, err := readFrame(c); err != nil || string(got) != frame {
				return "", fmt.Errorf("got %q (%v)", got, err)
			}
		}
		return "kept", c.Close()
	},
	"huge": func(connection ssh.Conn) (string, error) {
		c, err := openDuplex(connection, "frames", nil, nil)
		if err != nil {
			return "", err
		}
		c.Write([]byte{255, 255, 255, 255, 'x'})
		_, err = io.Copy(io.Discard, c)
		return "closed", err
	},
	"nested": func(connection ssh.Conn) (string, error) {
		parent, err := openDuplex(connection, "parent", nil, nil)
		if err != nil {
			return "", err
		}
		child, err := openDuplex(connection, "child", []string{"depth=1"}, parent)
		if err != nil {
			return "", err
		}
		if err := writeFrame(child, []byte("from below")); err != nil {
			return "", err
		}
		frame, err := readFrame(child)
		return string(frame), err
	},
	"orphan": func(connection ssh.Conn) (string, error) {
		return refusal(openAs(connection, duplexOpen{Service: "child", Attached: true, Attach: 4242}))
	},
	"unknown": func(connection ssh.Conn) (string, error) {
		_, _, err := connection.OpenChannel("nonsense@example.com", nil)
		return refusal(nil, err)
	},
	"ours": func(connection ssh.Conn) (string, error) {
		_, _, err := connection.OpenChannel(channelType, openInfo("echo", nil, ""))
		return refusal(nil, err)
	},
	"empty": func(connection ssh.Conn) (string, error) {
		return refusal(openDuplex(connection, "echo", []string{"a", "", "b"}, nil))
	},
	// Says its last words and closes without an end of data.
	"abrupt": func(connection ssh.Conn) (string, error) {
		c, err := openDuplex(connection, "listen", nil, nil)
		if err != nil {
			return "", err
		}
		writeFrame(c, []byte("last words"))
		if err := c.writeTrailers("bye"); err != nil {
			return "", err
		}
		return "said", c.Close()
	},
	"later": func(connection ssh.Conn) (string, error) {
		_, err := openDuplex(connection, "later", nil, nil)
		return "opened", err
	},
	// More opens than may wait; those that were not refused are never answered.
	"flood": func(connection ssh.Conn) (string, error) {
		first := make(chan error, 64)
		for i := 0; i < 64; i++ {
			go func() {
				_, err := openDuplex(connection, "later", nil, nil)
				first <- err
			}()
		}
		return refusal(nil, <-first)
	},
}
