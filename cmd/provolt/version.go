package main

import "runtime/debug"

// version is of this release. Release builds set it (-X main.version=…).
var version = "0.1.0"

func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}
