// How the client logs in, and whom the server lets in.
package main

import (
	"bytes"
	"errors"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

func login(a arguments) ssh.AuthMethod {
	switch {
	case a.password != "":
		return ssh.Password(a.password)
	case a.interactive != "":
		return ssh.KeyboardInteractive(func(_, _ string, prompts []string, _ []bool) ([]string, error) {
			answers := make([]string, len(prompts))
			for i := range answers {
				answers[i] = a.interactive
			}
			return answers, nil
		})
	case a.agent:
		stream, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
		if err != nil {
			fail(err)
		}
		return ssh.PublicKeysCallback(agent.NewClient(stream).Signers)
	}
	signer := privateKey(a.key)
	if a.certificate == "" {
		return ssh.PublicKeys(signer)
	}
	text, err := os.ReadFile(a.certificate)
	if err != nil {
		fail(err)
	}
	certified, err := ssh.NewCertSigner(publicKey(string(text)).(*ssh.Certificate), signer)
	if err != nil {
		fail(err)
	}
	return ssh.PublicKeys(certified)
}

// judge lets in one key, and whom an authority, a password or an answer lets in where there is one.
func judge(a arguments) *ssh.ServerConfig {
	known := publicKey(a.authorized).Marshal()
	checker := &ssh.CertChecker{
		IsUserAuthority: func(key ssh.PublicKey) bool {
			return a.authority != "" && bytes.Equal(key.Marshal(), publicKey(a.authority).Marshal())
		},
		UserKeyFallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), known) {
				return nil, errors.New("not this key")
			}
			return nil, nil
		},
	}
	config := &ssh.ServerConfig{PublicKeyCallback: checker.Authenticate}
	if a.password != "" {
		config.PasswordCallback = func(_ ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
			if string(given) != a.password {
				return nil, errors.New("not this password")
			}
			return nil, nil
		}
	}
	if a.interactive != "" {
		config.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil || len(answers) != 1 || answers[0] != a.interactive {
				return nil, errors.New("not this answer")
			}
			return nil, nil
		}
	}
	return config
}
