package needs

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Requests are answered while rules of others come and go.
func TestRulesComeAndGo(t *testing.T) {
	RequestKey(t)
	description := fmt.Sprintf("azfneeds:%d:", os.Getpid())
	remove, err := WriteRule("rejected", "create user "+description+"* * "+find("keyctl")+rejectArgs)
	if err != nil {
		t.Fatal(err)
	}
	stop, ended := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				ended <- remove()
				return
			default:
			}
			if gone, err := WriteRule("other", "create user azfnothing:* * /bin/false\n"); err != nil {
				t.Error(err)
			} else if err := gone(); err != nil {
				t.Error(err)
			}
			time.Sleep(5 * time.Millisecond) // else nobody else gets the lock on a busy machine
		}
	}()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		runtime.LockOSThread() // never unlocked: the thread's keyring goes with it
		for i := range 20 {
			if _, err := AskKey(fmt.Sprint(description, i), unix.KEY_SPEC_THREAD_KEYRING); !errors.Is(err, unix.EKEYREJECTED) {
				t.Errorf("request %d: %v", i, err)
			}
		}
	}()
	<-asked
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
