// Writes the definitions that BuildKit's Dockerfile frontend makes of Dockerfiles: one file for each.
//
//	go mod tidy && go run . OUT DIR...
//
// Every DIR holds a Dockerfile; its name is the name of the definition. Images are not looked up: each has the same
// small config, so that the output depends on the Dockerfile alone.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/protobuf/proto"
)

const config = `{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/local/bin:/usr/bin:/bin"],"WorkingDir":"/"},
"rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}`

type images struct{}

func (images) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, digest.FromString(ref), []byte(config), nil
}

func definition(dir string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, "Dockerfile"))
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	load := llb.Local("dockerfile", llb.FollowPaths([]string{"Dockerfile"}), llb.WithCustomName("[internal] load build definition from Dockerfile"))
	loaded, err := load.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	sources := llb.NewSourceMap(&load, "Dockerfile", "Dockerfile", text)
	sources.Definition = loaded
	build := llb.Local("context", llb.WithCustomName("[internal] load build context"))
	caps := pb.Caps.CapSet(pb.Caps.All())
	platform := ocispecs.Platform{OS: "linux", Architecture: "amd64"}
	result, err := dockerfile2llb.Dockerfile2LLB(ctx, text, dockerfile2llb.ConvertOpt{
		Config:         dockerui.Config{BuildPlatforms: []ocispecs.Platform{platform}},
		MainContext:    &build,
		SourceMap:      sources,
		TargetPlatform: &platform,
		MetaResolver:   images{},
		LLBCaps:        &caps,
	})
	if err != nil {
		return nil, err
	}
	marshalled, err := result.State.Marshal(ctx, llb.Platform(platform))
	if err != nil {
		return nil, err
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(marshalled.ToPB())
}

func main() {
	failed := false
	for _, dir := range os.Args[2:] {
		name := filepath.Base(dir)
		encoded, err := definition(dir)
		if err == nil && len(encoded) > 0 {
			err = os.WriteFile(filepath.Join(os.Args[1], name+".pb"), encoded, 0o644)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
