// Package schemas carries the published data files of the registry (attribute
// catalogue, JSON Schemas, worked examples), so that no caller needs a path on
// disk. The files are data: their meaning is in package catalogue and package
// schema.
//
// A file below a version directory, once listed in RELEASED.sha256, never
// changes; a correction is a new version beside it.
package schemas

import "embed"

// FS holds, by slash-separated path:
//
//	catalogue/1.0.0.json         the attribute catalogue
//	catalogue/types-1.0.0.json   the shared types the catalogue's attributes are made of
//	1.0.0/X.schema.json          what a record of type X holds when it is sent for issuing
//	1.0.0/X.presented.schema.json  the same when restricted members may be withheld
//	1.0.0/origin-statement.schema.json  the shared shape of origins, midstream and entities
//	contexts/*.jsonld            the JSON-LD contexts, by name and version
//	examples/*.json              whole documents that register
//	RELEASED.sha256              digests of the files that are fixed for ever
//
//go:embed RELEASED.sha256 1.0.0/*.json contexts/*.jsonld catalogue/*.json examples/*.json
var FS embed.FS
