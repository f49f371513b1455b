//go:build !linux

package binary

import "syscall"

// withParent leaves a process to the cleanup of its test: only Linux can tie
// it to its parent.
func withParent() *syscall.SysProcAttr { return nil }
