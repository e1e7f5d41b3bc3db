// The server's channels: sessions that run commands with /bin/sh, and direct-tcpip.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/crypto/ssh"
)

func serve(opening ssh.NewChannel) {
	switch opening.ChannelType() {
	case "session":
		channel, requests, err := opening.Accept()
		if err != nil {
			return
		}
		serveSession(channel, requests)
	case "direct-tcpip":
		var to struct {
			Host     string
			Port     uint32
			FromHost string
			FromPort uint32
		}
		if err := ssh.Unmarshal(opening.ExtraData(), &to); err != nil {
			opening.Reject(ssh.ConnectionFailed, "malformed")
			return
		}
		lead(opening, "tcp", fmt.Sprintf("%s:%d", to.Host, to.Port))
	case "direct-streamlocal@openssh.com":
		var to struct {
			Path, Reserved string
			Port           uint32
		}
		if err := ssh.Unmarshal(opening.ExtraData(), &to); err != nil {
			opening.Reject(ssh.ConnectionFailed, "malformed")
			return
		}
		lead(opening, "unix", to.Path)
	default:
		opening.Reject(ssh.UnknownChannelType, "what is that?")
	}
}

func lead(opening ssh.NewChannel, network, address string) {
	target, err := net.Dial(network, address)
	if err != nil {
		opening.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	channel, requests, err := opening.Accept()
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	join(channel, target, target)
	target.Close()
}

func serveSession(channel ssh.Channel, requests <-chan *ssh.Request) {
	environment := os.Environ()
	for request := range requests {
		var text struct{ Value string }
		switch request.Type {
		case "env":
			var variable struct{ Name, Value string }
			ok := ssh.Unmarshal(request.Payload, &variable) == nil
			environment = append(environment, variable.Name+"="+variable.Value)
			request.Reply(ok, nil)
		case "exec", "subsystem":
			ssh.Unmarshal(request.Payload, &text)
			command := text.Value
			if request.Type == "subsystem" {
				if command != "echo" {
					request.Reply(false, nil)
					continue
				}
				command = "cat"
			}
			request.Reply(true, nil)
			go run(channel, command, environment)
		case "shell":
			request.Reply(true, nil)
			go run(channel, "/bin/sh", environment)
		default:
			request.Reply(false, nil)
		}
	}
}

func run(channel ssh.Channel, command string, environment []string) {
	c := exec.Command("/bin/sh", "-c", command)
	c.Env = environment
	c.Stdout, c.Stderr = channel, channel.Stderr()
	in, _ := c.StdinPipe()
	go func() {
		io.Copy(in, channel)
		in.Close()
	}()
	c.Run()
	channel.CloseWrite()
	status := c.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		name := map[syscall.Signal]string{syscall.SIGTERM: "TERM", syscall.SIGKILL: "KILL"}[status.Signal()]
		channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Name    string
			Core    bool
			Message string
			Lang    string
		}{name, false, "", ""}))
	} else {
		channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{uint32(status.ExitStatus())}))
	}
	channel.Close()
}
