// Program pulumi-kubernetes is Pulumi's real Kubernetes provider. It reads two files beside it that
// the provider's own program embeds: that program cannot be built, because its module lacks them.
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version"
)

func main() {
	schema, mapping := readBeside("schema.json"), readBeside("terraform-mapping.json")
	provider.Serve("kubernetes", version.Version, schema, mapping)
}

// readBeside reads a file from the program's own folder, also when a link started the program.
func readBeside(name string) []byte {
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		log.Fatalf("this program's own folder cannot be found: %v", err)
	}
	content, err := os.ReadFile(filepath.Join(filepath.Dir(program), name))
	if err != nil {
		log.Fatalf("a file of the provider cannot be read: %v", err)
	}
	return content
}
