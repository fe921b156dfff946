// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The Go recipe beyond its first call. The first argument is the broker's address. Writes "cut" where its connection
// is to be cut.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/paho/extensions/rpc"
)

type object map[string]any

func within(limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	time.AfterFunc(2*limit, cancel)
	return ctx
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func mustFail(err error, code string) {
	if err == nil || !strings.HasPrefix(err.Error(), code+": ") {
		log.Fatalf("%v is not %s", err, code)
	}
}

// Many calls at once get each its own result.
func checkMany(handler *rpc.Handler, count int) {
	failed := make(chan error)
	for number := 0; number < count; number++ {
		go func(number int) {
			var result struct{ Large int }
			params := object{"text": "x", "on": true, "small": 1, "large": number}
			err := call(within(time.Minute), handler, "probe.fields", params, &result)
			if err == nil && result.Large != number {
				err = fmt.Errorf("%d is not %d", result.Large, number)
			}
			failed <- err
		}(number)
	}
	for number := 0; number < count; number++ {
		must(<-failed)
	}
}

func checkErrors(handler *rpc.Handler) {
	var result any
	ask := func(method string, params any) error {
		return call(within(time.Minute), handler, method, params, &result)
	}
	mustFail(ask("probe.raise", object{"code": "probe_trouble", "with_data": true}), "probe_trouble")
	mustFail(ask("no.such.method", object{}), "method_not_found")
	mustFail(ask("probe.big", object{"size": 140000}), "reply_too_large")
	mustFail(ask("echo", strings.Repeat("x", 70000)), "payload_too_large")
	mustFail(ask("slow.brief", object{"ms": 60000, "polite": true}), "timeout")
	must(ask("slow.sleep", object{"ms": 300}))
}

func checkNoReply(handler *rpc.Handler) {
	var result any
	ended := make(chan error)
	go func() {
		ended <- call(within(3*time.Second), handler, "slow.sleep", object{"ms": 60000, "polite": true}, &result)
	}()
	must(call(within(time.Minute), handler, "ping", object{}, &result))
	fmt.Println("cut")
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		log.Fatalf("the call under way: %v", err)
	}
	if call(within(3*time.Second), handler, "ping", object{}, &result) == nil {
		log.Fatal("the client has connected again")
	}
}

func main() {
	handler, err := connect(within(time.Minute), os.Args[1], "go-edges")
	must(err)
	checkMany(handler, 1000)
	checkErrors(handler)
	checkNoReply(handler)
	handler, err = connect(within(time.Minute), os.Args[1], "go-edges")
	must(err)
	checkMany(handler, 10)
	fmt.Println("all is well")
}
