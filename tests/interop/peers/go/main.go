// golang.org/x/crypto/ssh as a program: a client that takes its input from standard input and gives output,
// error output and exit code as `ssh` does, and a server that runs commands with /bin/sh. Every peer in this
// folder has the same command line:
//
//	client --port N --user NAME --host-key 'TYPE BASE64' [--env K=V]... [--rekey BYTES]
//	       --key FILE [--certificate FILE] | --password WORD | --interactive ANSWER | --agent
//	       --exec COMMAND | --subsystem NAME | --shell | --direct SERVICE | --local PORT-OR-PATH SERVICE |
//	       --remote PORT TARGET | --type TYPE
//	server --host-key FILE --authorized 'TYPE BASE64' [--rekey BYTES]
//	       [--authority 'TYPE BASE64'] [--password WORD] [--interactive ANSWER]
//
// A server listens on a free port of 127.0.0.1 and says "listening PORT" on standard error.
// This one also speaks PROTOCOL.md's own channels, native.go, and those of go-streamkit, duplex.go.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

type words []string

func (w *words) String() string     { return strings.Join(*w, " ") }
func (w *words) Set(s string) error { *w = append(*w, s); return nil }

type arguments struct {
	port                                  int
	user, key, password, hostKey, exec    string
	subsystem, direct, local, remote, typ string
	authorized, native, certificate       string
	interactive, authority, duplex        string
	shell, agent                          bool
	rekey                                 uint64
	env                                   words
	rest                                  []string
}

func parse(args []string) (a arguments) {
	f := flag.NewFlagSet("peer", flag.ExitOnError)
	f.IntVar(&a.port, "port", 0, "")
	f.StringVar(&a.user, "user", "", "")
	f.StringVar(&a.key, "key", "", "")
	f.StringVar(&a.password, "password", "", "")
	f.StringVar(&a.certificate, "certificate", "", "")
	f.StringVar(&a.interactive, "interactive", "", "")
	f.StringVar(&a.authority, "authority", "", "")
	f.BoolVar(&a.agent, "agent", false, "")
	f.StringVar(&a.hostKey, "host-key", "", "")
	f.StringVar(&a.exec, "exec", "", "")
	f.StringVar(&a.subsystem, "subsystem", "", "")
	f.BoolVar(&a.shell, "shell", false, "")
	f.StringVar(&a.direct, "direct", "", "")
	f.StringVar(&a.local, "local", "", "")
	f.StringVar(&a.remote, "remote", "", "")
	f.StringVar(&a.typ, "type", "", "")
	f.StringVar(&a.authorized, "authorized", "", "")
	f.StringVar(&a.native, "native", "", "")
	f.StringVar(&a.duplex, "duplex", "", "")
	f.Uint64Var(&a.rekey, "rekey", 0, "")
	f.Var(&a.env, "env", "")
	f.Parse(args)
	a.rest = f.Args()
	return a
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "go peer:", err)
	os.Exit(255)
}

func publicKey(line string) ssh.PublicKey {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		fail(err)
	}
	return key
}

func privateKey(path string) ssh.Signer {
	text, err := os.ReadFile(path)
	if err != nil {
		fail(err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		fail(err)
	}
	return signer
}

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("client or server?"))
	}
	a := parse(os.Args[2:])
	if a.native != "" {
		ssh.Announced = []string{"peer@streamkit", "1"}
	}
	switch os.Args[1] {
	case "client":
		client(a)
	case "server":
		server(a)
	default:
		fail(errors.New("client or server?"))
	}
}

// ---------------------------------------------------------------- client

func client(a arguments) {
	config := &ssh.ClientConfig{User: a.user, HostKeyCallback: ssh.FixedHostKey(publicKey(a.hostKey))}
	config.RekeyThreshold = a.rekey
	config.Auth = []ssh.AuthMethod{login(a)}
	if a.native != "" {
		nativeClient(a, config)
		return
	}
	if a.duplex != "" {
		duplexClient(a, config)
		return
	}
	connection, err := ssh.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", a.port), config)
	if err != nil {
		fail(err)
	}
	switch {
	case a.direct != "":
		channel, err := connection.Dial("tcp", a.direct+":1")
		if err != nil {
			fail(err)
		}
		join(channel.(io.ReadWriteCloser), os.Stdin, os.Stdout)
	case a.local != "":
		local(connection, a.local, a.rest[0])
	case a.remote != "":
		remote(connection, a.remote, a.rest[0])
	case a.typ != "":
		_, _, err := connection.OpenChannel(a.typ, nil)
		var refused *ssh.OpenChannelError
		if !errors.As(err, &refused) {
			fail(fmt.Errorf("it was not refused: %v", err))
		}
		fmt.Printf("refused %d\n", refused.Reason)
	default:
		session(connection, a)
	}
	connection.Close()
}

// session runs one by hand: x/crypto's own Session has no copying for subsystems.
func session(connection *ssh.Client, a arguments) {
	channel, requests, err := connection.OpenChannel("session", nil)
	if err != nil {
		fail(err)
	}
	ask := func(name string, payload []byte) {
		if ok, err := channel.SendRequest(name, true, payload); err != nil || !ok {
			fail(fmt.Errorf("%s was refused (%v)", name, err))
		}
	}
	for _, variable := range a.env {
		name, value, _ := strings.Cut(variable, "=")
		ask("env", ssh.Marshal(struct{ Name, Value string }{name, value}))
	}
	switch {
	case a.subsystem != "":
		ask("subsystem", ssh.Marshal(struct{ Name string }{a.subsystem}))
	case a.shell:
		ask("shell", nil)
	default:
		ask("exec", ssh.Marshal(struct{ Command string }{a.exec}))
	}
	beside := make(chan struct{})
	go func() {
		io.Copy(os.Stderr, channel.Stderr())
		close(beside)
	}()
	go func() {
		io.Copy(channel, os.Stdin)
		channel.CloseWrite()
	}()
	io.Copy(os.Stdout, channel)
	<-beside
	for request := range requests { // until the channel is closed
		if request.Type == "exit-status" {
			var status struct{ Code uint32 }
			ssh.Unmarshal(request.Payload, &status)
			channel.Close()
			connection.Close()
			os.Exit(int(status.Code))
		}
	}
	fail(errors.New("no exit status"))
}

type halfCloser interface{ CloseWrite() error }

// join copies both ways with half-close until the other side has ended, and a socket in place of standard input too.
func join(channel io.ReadWriteCloser, in io.Reader, out io.Writer) {
	sent := make(chan struct{})
	go func() {
		io.Copy(channel, in)
		channel.(halfCloser).CloseWrite()
		close(sent)
	}()
	io.Copy(out, channel)
	if half, ok := out.(halfCloser); ok && in != os.Stdin {
		half.CloseWrite()
		<-sent
	}
	channel.Close()
}

// local forwards a port or a unix socket here to a service there.
func local(connection *ssh.Client, where, service string) {
	network, address := "tcp", "127.0.0.1:"+where
	if strings.HasPrefix(where, "/") {
		network, address = "unix", where
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		fail(err)
	}
	for {
		visitor, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		go func() {
			var channel net.Conn
			var err error
			if network == "unix" {
				channel, err = connection.Dial("unix", "/"+service)
			} else {
				channel, err = connection.Dial("tcp", service+":1")
			}
			if err != nil {
				fail(err)
			}
			join(channel, visitor, visitor)
			visitor.Close()
		}()
	}
}

// remote asks for a port there and leads its connections to a target here.
func remote(connection *ssh.Client, port, target string) {
	listener, err := connection.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fail(err)
	}
	for {
		channel, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		visitor, err := net.Dial("tcp", "127.0.0.1:"+target)
		if err != nil {
			fail(err)
		}
		go join(channel, visitor, visitor)
	}
}

// ---------------------------------------------------------------- server

func server(a arguments) {
	config := judge(a)
	config.RekeyThreshold = a.rekey
	config.AddHostKey(privateKey(a.hostKey))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	fmt.Fprintf(os.Stderr, "listening %d\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		stream, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		go func() {
			connection, channels, requests, err := ssh.NewServerConn(stream, config)
			if err != nil {
				fmt.Fprintln(os.Stderr, "go peer:", err)
				return
			}
			if a.native != "" {
				nativeServe(connection, channels, requests)
				return
			}
			if a.duplex != "" {
				duplexServe(a, connection, channels, requests)
				return
			}
			go ssh.DiscardRequests(requests)
			for opening := range channels {
				go serve(opening)
			}
		}()
	}
}
