// Reads a configuration on stdin as `k3d cluster create --config -` does, up to where k3d creates
// the first object in Docker, and exits with 1 and the reason where k3d refuses it.
package main

import (
	"context"
	"fmt"
	"os"

	cliconfig "github.com/k3d-io/k3d/v5/cmd/util/config"
	"github.com/k3d-io/k3d/v5/pkg/config"
	"github.com/k3d-io/k3d/v5/pkg/runtimes"
	"github.com/spf13/viper"
)

func check(ctx context.Context) error {
	settings := viper.New()
	// It ends the program itself where the text is no YAML or breaks k3d's schema.
	if err := cliconfig.InitViperWithConfigFile(settings, "-"); err != nil {
		return err
	}
	simple, err := config.SimpleConfigFromViper(settings)
	if err != nil {
		return err
	}
	if err := config.ProcessSimpleConfig(&simple); err != nil {
		return err
	}
	cluster, err := config.TransformSimpleToClusterConfig(ctx, runtimes.SelectedRuntime, simple, "-")
	if err != nil {
		return err
	}
	if cluster, err = config.ProcessClusterConfig(*cluster); err != nil {
		return err
	}
	return config.ValidateClusterConfig(ctx, runtimes.SelectedRuntime, *cluster)
}

func main() {
	if err := check(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
