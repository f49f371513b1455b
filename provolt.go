// Package provolt carries the contract of the registry's HTTP interface, so
// that the server which publishes it and the tests which hold the server to it
// need not know where the file lies. It stands at the root because go:embed
// cannot reach upward.
package provolt

import _ "embed"

// OpenAPI is the OpenAPI 3.1 description of every route, in YAML, served at
// /openapi.yaml. Do not change it.
//
//go:embed openapi.yaml
var OpenAPI []byte
