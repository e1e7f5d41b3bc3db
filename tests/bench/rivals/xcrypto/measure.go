// The command line, the line of JSON, and the measuring of the C++ runners (measure.hpp), once more
// in Go. The second process is this program again, with its part in an environment variable.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	streamBytes       = 4 << 30
	piece             = 256 << 10
	pings, warmUp     = 20000, 500
	pingBytes         = 64
	rowSeconds        = 900
	partVariable      = "STREAMKIT_RIVAL_PART"
	namespaceVariable = "STREAMKIT_RIVAL_NAMESPACE"
	defaultCongestion = "/proc/sys/net/ipv4/tcp_congestion_control"
)

type task struct {
	row, variant string
	scale        float64
}

func (t task) amount(whole, least int) int {
	if n := int(float64(whole) * t.scale); n > least {
		return n
	}
	return least
}

// figure's fields are those of the JSON line.
type figure map[string]interface{}

type row struct {
	row, subject, variant, unit string
	run                         func(task) figure
}

func fail(doing string, err error) {
	fmt.Fprintf(os.Stderr, "rival_xcrypto: %s: %v\n", doing, err)
	os.Exit(1)
}

func must(err error, doing string) {
	if err != nil {
		fail(doing, err)
	}
}

func printLine(r row, f figure) {
	f["row"], f["subject"], f["variant"] = r.row, r.subject, r.variant
	if _, skipped := f["skipped"]; !skipped {
		f["unit"] = r.unit
	}
	line, err := json.Marshal(f)
	must(err, "JSON")
	fmt.Println(string(line))
}

func runnerMain(rows []row) {
	t := task{scale: 1}
	list, congestion := false, ""
	for i := 1; i < len(os.Args); i++ {
		word, hasValue := os.Args[i], i+1 < len(os.Args)
		switch {
		case word == "--list":
			list = true
		case word == "--variant" && hasValue:
			i++
			t.variant = os.Args[i]
		case word == "--congestion" && hasValue:
			i++
			congestion = os.Args[i]
		case word == "--scale" && hasValue:
			i++
			scale, err := strconv.ParseFloat(os.Args[i], 64)
			if err != nil || !(scale > 0) {
				usage()
			}
			t.scale = scale
		case !strings.HasPrefix(word, "-") && t.row == "":
			t.row = word
		default:
			usage()
		}
	}
	if list == (t.row != "") {
		usage()
	}
	if list {
		for _, r := range rows {
			printLine(r, figure{})
		}
		return
	}
	for _, r := range rows {
		if r.row == t.row && (t.variant == "" || r.variant == t.variant) {
			t.variant = r.variant
			time.AfterFunc(rowSeconds*time.Second, func() { fail(r.row, fmt.Errorf("it takes too long")) })
			if os.Getenv(partVariable) != "" {
				r.run(t)
				return
			}
			if congestion != "" && !useCongestion(congestion) {
				printLine(r, figure{"skipped": "no private network namespace for --congestion " + congestion + ": run it as root"})
				return
			}
			f := r.run(t)
			f["higher_is_better"] = r.unit != "us" && r.unit != "KiB"
			printLine(r, f)
			return
		}
	}
	fmt.Fprintf(os.Stderr, "%s has no row %s %s: see --list\n", os.Args[0], t.row, t.variant)
	os.Exit(2)
}

func usage() {
	fmt.Fprintf(os.Stderr, "usage: %s ROW [--variant V] [--scale F] [--congestion NAME] | --list\n", os.Args[0])
	os.Exit(2)
}

// useCongestion makes sure of the congestion control; where it is another, the program starts itself
// again in a network namespace of its own and ends with it.
func useCongestion(name string) bool {
	present, err := os.ReadFile(defaultCongestion)
	must(err, "congestion control")
	if strings.TrimSpace(string(present)) == name {
		return true
	}
	if os.Getenv(namespaceVariable) == "" {
		again := exec.Command("/proc/self/exe", os.Args[1:]...)
		again.Env = append(os.Environ(), namespaceVariable+"=1")
		again.Stdout, again.Stderr = os.Stdout, os.Stderr
		again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		if os.Geteuid() != 0 {
			id := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
			again.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			again.SysProcAttr.UidMappings, again.SysProcAttr.GidMappings = id, id
		}
		runtime.LockOSThread() // the death signal belongs to the thread that starts it
		if err := again.Start(); err != nil {
			return false
		}
		if again.Wait() != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	// struct ifreq: the name, then the flags.
	request := struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	copy(request.name[:], "lo")
	any, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	must(err, "a socket")
	_, _, problem := syscall.Syscall(syscall.SYS_IOCTL, uintptr(any), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if problem != 0 {
		fail("bringing up the loopback interface", problem)
	}
	syscall.Close(any)
	return os.WriteFile(defaultCongestion, []byte(name), 0) == nil
}

// ---------------------------------------------------------------- time, CPU, memory

func cpuSeconds() float64 {
	var used syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &used), "getrusage")
	return float64(used.Utime.Nano()+used.Stime.Nano()) * 1e-9
}

func memoryKib() float64 {
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	must(err, "memory")
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			must(err, "memory")
			return kib
		}
	}
	fail("memory", fmt.Errorf("no Pss in smaps_rollup"))
	return 0
}

// percentile sorts `samples` and gives microseconds.
func percentile(samples []time.Duration, percent int) float64 {
	sort.Slice(samples, func(a, b int) bool { return samples[a] < samples[b] })
	rank := (len(samples)*percent + 99) / 100
	if rank < 1 {
		rank = 1
	}
	return float64(samples[rank-1]) * 1e-3
}

func ping(t task, roundTrip func()) figure {
	for i := t.amount(warmUp, 1); i > 0; i-- {
		roundTrip()
	}
	var samples []time.Duration
	for i := t.amount(pings, 1); i > 0; i-- {
		begin := time.Now()
		roundTrip()
		samples = append(samples, time.Since(begin))
	}
	p50 := percentile(samples, 50)
	return figure{"value": p50, "p50_us": p50, "p99_us": percentile(samples, 99)}
}

// ---------------------------------------------------------------- two processes

// other is the second process. It is told one line (keys and port are in its environment) and says
// lines of numbers.
type other struct {
	command *exec.Cmd
	lines   *bufio.Scanner
}

func isOther() bool { return os.Getenv(partVariable) != "" }

// start runs this program again as the server, on the listener, with these keys.
func start(listener *net.TCPListener, keys string) *other {
	file, err := listener.File()
	must(err, "the listener")
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Env = append(os.Environ(), partVariable+"="+keys)
	command.ExtraFiles = []*os.File{file}
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the death signal belongs to the thread that starts it
	out, err := command.StdoutPipe()
	must(err, "a pipe")
	_, err = command.StdinPipe()
	must(err, "a pipe")
	must(command.Start(), "the other side")
	runtime.UnlockOSThread()
	file.Close()
	return &other{command, bufio.NewScanner(out)}
}

// number is what the other side says next.
func (o *other) number() float64 {
	if !o.lines.Scan() {
		fail("the other side", fmt.Errorf("it ended early"))
	}
	value, err := strconv.ParseFloat(o.lines.Text(), 64)
	must(err, "the other side")
	return value
}

func (o *other) kill() {
	o.command.Process.Kill()
	o.command.Wait()
}

func say(value float64) { fmt.Println(strconv.FormatFloat(value, 'g', -1, 64)) }

func otherListener() *net.TCPListener {
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	must(err, "the listener")
	return listener.(*net.TCPListener)
}
