// Centrifugo's library as it is set up by default, but for rarer pings: the JSON protocol, a memory broker, no history. With `recovery`,
// channels keep a history as long as Tidegate's topics do by default, and subscribers may recover from it.
//
// Debian has all of it (golang-go, golang-github-centrifugal-centrifuge-dev and four that the latter doesn't depend on:
// golang-github-centrifugal-protocol-dev, -fzambia-eagle-dev, -igm-sockjs-go-dev, -mna-redisc-dev):
// GO111MODULE=off GOPATH=/usr/share/gocode go build -o centrifuge-server centrifuge.go

package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/centrifugal/centrifuge"
)

const (
	historySize = 256
	historyTTL  = 10 * time.Minute

	// A client has a ninth of it to answer: with the default of 25 s fewer than three seconds, in which others may have a turn.
	pingInterval = 2 * time.Minute
)

func main() {
	recovery := len(os.Args) > 2 && os.Args[2] == "recovery"
	config := centrifuge.DefaultConfig
	config.LogLevel = centrifuge.LogLevelError
	config.LogHandler = func(entry centrifuge.LogEntry) {
		log.Printf("%s: %v", entry.Message, entry.Fields)
	}
	node, err := centrifuge.New(config)
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: "load"}}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{Options: centrifuge.SubscribeOptions{Recover: recovery}}, nil)
		})
		client.OnPublish(func(_ centrifuge.PublishEvent, answer centrifuge.PublishCallback) {
			reply := centrifuge.PublishReply{}
			if recovery {
				reply.Options.HistorySize = historySize
				reply.Options.HistoryTTL = historyTTL
			}
			answer(reply, nil)
		})
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	sockets := centrifuge.WebsocketConfig{PingInterval: pingInterval}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, sockets))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
