// PROTOCOL.md's own channels, written a second time: the hello, channel@streamkit in both directions, trailers
// and the status. It is what somebody would write who has PROTOCOL.md and another SSH library.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
)

const channelType = "channel@streamkit"

type header struct{ key, value string }

func appendText(to []byte, text string) []byte {
	return append(append(to, ssh.Marshal(struct{ N uint32 }{uint32(len(text))})...), text...)
}

func appendPairs(to []byte, pairs []header) []byte {
	to = append(to, ssh.Marshal(struct{ N uint32 }{uint32(len(pairs))})...)
	for _, pair := range pairs {
		to = appendText(appendText(to, pair.key), pair.value)
	}
	return to
}

func hello(name string) []byte {
	out := ssh.Marshal(struct {
		Version             uint32
		Name, Instance, App string
		MaxFrame            uint32
	}{1, name, "0123456789abcdef", "", 16 << 20})
	return appendPairs(out, nil)
}

func openInfo(service string, headers []header, first string) []byte {
	out := appendText([]byte{1}, service)
	out = append(out, ssh.Marshal(struct{ Flags, Parent uint32 }{0, 0xffffffff})...)
	out = appendPairs(out, headers)
	out = append(out, ssh.Marshal(struct{ Deadline, Priority uint32 }{0, 100})...)
	return appendText(out, first)
}

// greet says hello under this name, which for a client is its user name, answers the other side's, and leaves what else comes unanswered.
func greet(connection ssh.Conn, name string, requests <-chan *ssh.Request) error {
	heard := make(chan struct{})
	go func() {
		is_first := true
		for request := range requests {
			if request.Type != "hello@streamkit" {
				request.Reply(false, nil)
				continue
			}
			request.Reply(true, hello(name))
			if is_first {
				close(heard)
			}
			is_first = false
		}
	}()
	ok, answer, err := connection.SendRequest("hello@streamkit", true, hello(name))
	if err != nil || !ok {
		return fmt.Errorf("our hello was refused: %q (%v)", answer, err)
	}
	var theirs struct {
		Version uint32
		Name    string
		Rest    []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(answer, &theirs); err != nil || theirs.Version != 1 {
		return fmt.Errorf("a strange answer to our hello: %q", answer)
	}
	select {
	case <-heard:
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("the other side said no hello")
	}
}

// serveNative gives back what comes, then trailers, and the status that the service's name asks for: 7.
func serveNative(channels <-chan ssh.NewChannel) {
	for opening := range channels {
		if opening.ChannelType() != channelType {
			opening.Reject(ssh.UnknownChannelType, "unknown channel type")
			continue
		}
		var info struct {
			Version byte
			Service string
			Rest    []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(opening.ExtraData(), &info); err != nil || info.Service != "go-echo" {
			opening.Reject(ssh.ConnectionFailed, "not_found: no service named "+info.Service)
			continue
		}
		// The bytes that ride along stand at the end; x/crypto cannot answer with headers.
		first := ""
		if at := bytes.LastIndex(opening.ExtraData(), []byte("ride along")); at >= 0 {
			first = string(opening.ExtraData()[at:])
		}
		channel, requests, err := opening.Accept()
		if err != nil {
			continue
		}
		go ssh.DiscardRequests(requests)
		go func() {
			io.WriteString(channel, first)
			io.Copy(channel, channel)
			finish(channel, 7)
		}()
	}
}

// finish is an orderly end.
func finish(channel ssh.Channel, code uint32) {
	channel.SendRequest("trailers@streamkit", false, appendPairs(nil, []header{{"seen", "all"}}))
	channel.SendRequest("close@streamkit", false, ssh.Marshal(struct {
		Code            uint32
		Reason, Message string
	}{code, "because", "the tester wants it"}))
	channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
	channel.CloseWrite()
	channel.Close()
}

// open asks for a service with the header CODE=7, sends input, writes output, and gives the status's code.
func open(connection ssh.Conn, service string, input io.Reader, output io.Writer) (uint32, error) {
	channel, requests, err := connection.OpenChannel(channelType, openInfo(service, []header{{"CODE", "7"}}, ""))
	if err != nil {
		return 0, err
	}
	go func() {
		io.Copy(channel, input)
		channel.CloseWrite()
	}()
	if _, err := io.Copy(output, channel); err != nil {
		return 0, err
	}
	for request := range requests {
		if request.Type == "close@streamkit" {
			var status struct {
				Code            uint32
				Reason, Message string
			}
			if err := ssh.Unmarshal(request.Payload, &status); err != nil {
				return 0, err
			}
			channel.Close()
			return status.Code, nil
		}
	}
	return 0, errors.New("the channel closed without a status")
}

func nativeClient(a arguments, config *ssh.ClientConfig) {
	stream, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", a.port))
	if err != nil {
		fail(err)
	}
	connection, channels, requests, err := ssh.NewClientConn(stream, stream.RemoteAddr().String(), config)
	if err != nil {
		fail(err)
	}
	if err := greet(connection, a.user, requests); err != nil {
		fail(err)
	}
	go serveNative(channels)
	if a.native == "serve" {
		connection.Wait()
		return
	}
	code, err := open(connection, a.native, os.Stdin, os.Stdout)
	if err != nil {
		fail(err)
	}
	connection.Close()
	os.Exit(int(code))
}

// nativeServe serves, and says on standard error how opening the service went that --native names.
func nativeServe(connection *ssh.ServerConn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	go serveNative(channels)
	if err := greet(connection, "go", requests); err != nil {
		fail(err)
	}
	if a := os.Getenv("STREAMKIT_GO_OPENS"); a != "" {
		sent, got := bytes.Repeat([]byte("0123456789abcdef"), 1<<16), new(bytes.Buffer)
		code, err := open(connection, a, bytes.NewReader(sent), got)
		fmt.Fprintf(os.Stderr, "opened %s: same %v, code %d, error %v\n", a, bytes.Equal(sent, got.Bytes()), code, err)
		_, _, err = connection.OpenChannel("nonsense@example.com", nil)
		var refused *ssh.OpenChannelError
		if errors.As(err, &refused) {
			fmt.Fprintf(os.Stderr, "nonsense: refused %d\n", refused.Reason)
		}
	}
	connection.Wait()
}
