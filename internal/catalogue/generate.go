package catalogue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/provolt/provolt/internal/passport"
)

// originFile holds the shared shape of an origin statement. Batch records and
// sourcing evaluations refer to it.
const originFile = "origin-statement.schema.json"

// SchemaFile returns the name of a record type's published schema below
// schemas/{Version}/: "model.schema.json", or "model.presented.schema.json".
func SchemaFile(t passport.RecordType, presented bool) string {
	if presented {
		return string(t) + ".presented.schema.json"
	}
	return string(t) + ".schema.json"
}

// Schemas makes the published JSON Schemas (2020-12) from the catalogue: file
// name to content. Equal catalogues make equal bytes.
//
// Every $id is a reference relative to the host that serves the file,
// "/schemas/1.0.0/model.schema.json": a registry at any base URL serves
// the same bytes, and a reader resolves them against the address they came
// from (RFC 3986 section 5.1.3).
//
// The schemas hold shape only. A member is required when every battery owes it
// whatever its category and triggers; all else is decided by Duty.
func (c *Catalogue) Schemas() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, t := range passport.RecordTypes() {
		for _, presented := range []bool{false, true} {
			root, err := c.recordSchema(t, presented)
			if err != nil {
				return nil, fmt.Errorf("make the %s schema: %w", t, err)
			}
			if files[SchemaFile(t, presented)], err = c.publish(SchemaFile(t, presented), root); err != nil {
				return nil, err
			}
		}
	}
	var err error
	files[originFile], err = c.publish(originFile, c.originSchema())
	return files, err
}

// node is a member on the way to a value: a container, a row, or both.
type node struct {
	row      *Attribute
	children map[string]*node
}

// tree arranges the rows of a record by member. Rows beneath a row with a
// schema are described by that row's type and make no node; they only have to
// exist there.
func (c *Catalogue) tree(t passport.RecordType) (*node, error) {
	root := &node{children: map[string]*node{}}
	rows := slices.Clone(c.byRecord[t])
	slices.SortStableFunc(rows, func(a, b Attribute) int { return len(a.Members) - len(b.Members) })
	for _, a := range rows {
		if err := c.place(root, a); err != nil {
			return nil, fmt.Errorf("row %s: %w", a.ID, err)
		}
	}
	return root, nil
}

func (c *Catalogue) place(n *node, a Attribute) error {
	for i, member := range a.Members {
		if n.row != nil {
			return c.describes(n.row.Schema, a.Members[i:])
		}
		if n.children[member] == nil {
			n.children[member] = &node{children: map[string]*node{}}
		}
		n = n.children[member]
	}
	if a.Schema == nil {
		return fmt.Errorf("no schema here and no row above")
	}
	n.row = &a
	return nil
}

// describes reports an error unless the schema has the member path.
func (c *Catalogue) describes(schema map[string]any, members []string) error {
	for _, member := range members {
		schema = c.resolve(schema)
		var next any
		if selector(member) {
			next = schema["items"]
		} else if properties, ok := schema["properties"].(map[string]any); ok {
			next = properties[member]
		}
		sub, ok := next.(map[string]any)
		if !ok {
			return fmt.Errorf("the type of the row above has no member %s", strings.Join(members, "."))
		}
		schema = sub
	}
	return nil
}

func (c *Catalogue) resolve(schema map[string]any) map[string]any {
	for {
		name, ok := typeName(schema)
		if !ok {
			return schema
		}
		def, ok := c.types[name].(map[string]any)
		if !ok {
			return schema
		}
		schema = def
	}
}

// typeName returns the shared type a schema refers to.
func typeName(schema map[string]any) (string, bool) {
	ref, _ := schema["$ref"].(string)
	return strings.CutPrefix(ref, "#/$defs/")
}

// always reports whether every battery owes the attribute, whatever is known
// about it.
func (a Attribute) always() bool {
	for _, category := range Categories() {
		if a.Need[category] != Mandatory {
			return false
		}
	}
	return len(a.Refine) == 0
}

func (c *Catalogue) recordSchema(t passport.RecordType, presented bool) (map[string]any, error) {
	root, err := c.tree(t)
	if err != nil {
		return nil, err
	}
	schema, _ := c.container(t, root, nil, presented)
	title := "The " + string(t) + " record"
	if presented {
		title += " as presented, restricted members withheld or not"
		properties := schema["properties"].(map[string]any)
		properties["id"] = map[string]any{"type": "string", "maxLength": 2048, "title": "Subject of the credential"}
		properties["type"] = map[string]any{
			"type": []any{"string", "array"}, "maxLength": 200, "maxItems": 20, "items": map[string]any{"type": "string", "maxLength": 200},
			"title": "Type of the subject",
		}
	}
	schema["title"] = title
	return schema, nil
}

// container makes the schema of an object and says whether a record must have
// it, because it must have something inside.
func (c *Catalogue) container(t passport.RecordType, n *node, members []string, presented bool) (map[string]any, bool) {
	properties, required := map[string]any{}, []string{}
	for name, child := range n.children {
		path := append(slices.Clone(members), name)
		var schema map[string]any
		var must bool
		if child.row != nil {
			schema, must = c.leaf(t, *child.row, presented)
		} else {
			schema, must = c.container(t, child, path, presented)
		}
		properties[name] = schema
		if must {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema, len(required) > 0
}

// leaf makes the schema of one row's value, with what a reader wants to know
// beside it.
func (c *Catalogue) leaf(t passport.RecordType, a Attribute, presented bool) (map[string]any, bool) {
	schema := maps.Clone(a.Schema)
	schema["title"] = a.Name["en"]
	schema["x-attribute"], schema["x-tier"] = a.ID, a.Tier
	if a.Unit != "" {
		schema["x-unit"] = a.Unit
	}
	if a.LegalReference != "" {
		schema["x-legalReference"] = a.LegalReference
	}
	if required := c.requiredBelow(t, a); len(required) > 0 && schema["type"] != "array" {
		schema["required"] = required
	}
	if presented && a.Elements {
		delete(schema, "minItems") // elements may be withheld one by one
	}
	return schema, a.always() && !(presented && a.Restricted())
}

// requiredBelow lists the direct members of a row's value that rows of their
// own make mandatory, such as the manufacturer's trade name.
func (c *Catalogue) requiredBelow(t passport.RecordType, a Attribute) []string {
	var required []string
	for _, b := range c.byRecord[t] {
		if b.In(a) && len(b.Members) == len(a.Members)+1 && b.always() {
			required = append(required, b.Members[len(a.Members)])
		}
	}
	return required
}

// originSchema is an object of the three members that make up an origin
// statement, for callers who send one on its own.
func (c *Catalogue) originSchema() map[string]any {
	properties := map[string]any{}
	for _, a := range c.byRecord[passport.Batch] {
		if a.Elements {
			properties[a.Members[0]] = maps.Clone(a.Schema)
		}
	}
	defs := map[string]any{}
	for _, name := range c.origin {
		defs[name] = c.types[name]
	}
	return map[string]any{
		"title": "Origins of the minerals of a battery, midstream steps and legal entities",
		"type":  "object", "properties": properties, "additionalProperties": false,
		"required": []string{"origins"}, "$defs": defs,
	}
}

// publish adds the frame of a file: dialect, identity and the types it uses.
// References to the types of an origin statement lead to its own file.
func (c *Catalogue) publish(name string, root map[string]any) ([]byte, error) {
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = "/schemas/" + Version + "/" + name
	rewritten, used := c.refs(root, name == originFile)
	defs, _ := root["$defs"].(map[string]any)
	if defs == nil {
		defs = map[string]any{}
	}
	for len(used) > 0 {
		next := used[0]
		used = used[1:]
		if defs[next] != nil {
			continue
		}
		def, ok := c.types[next]
		if !ok {
			return nil, fmt.Errorf("make %s: there is no type %s", name, next)
		}
		def, more := c.refs(def, name == originFile)
		defs[next], used = def, append(used, more...)
	}
	schema := rewritten.(map[string]any)
	if len(defs) > 0 {
		schema["$defs"] = defs
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(schema); err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// refs copies a schema and returns the local types it refers to. Outside the
// origin file, types of the origin statement become references into it.
func (c *Catalogue) refs(v any, local bool) (any, []string) {
	var used []string
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, member := range v {
			copied, more := c.refs(member, local)
			out[k], used = copied, append(used, more...)
		}
		if name, ok := typeName(v); ok && !local && slices.Contains(c.origin, name) {
			out["$ref"] = originFile + "#/$defs/" + name
		} else if ok {
			used = append(used, name)
		}
		return out, used
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			copied, more := c.refs(item, local)
			out[i], used = copied, append(used, more...)
		}
		return out, used
	}
	return v, nil
}
