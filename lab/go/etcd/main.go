// The etcd of the lab's nodes. Built here, because the program of etcd's module would be named
// "server".
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
