package credential

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
)

// Member names that RFC 9901 section 4.2 keeps for itself.
const (
	digestsMember   = "_sd"
	algorithmMember = "_sd_alg"
	elementMember   = "..."
)

// hashName is the only hash this registry uses and accepts (RFC 9901 section
// 4.1.1; the registry of IANA calls it so).
const hashName = "sha-256"

// saltSize is the length of a disclosure's salt in bytes: 128 bits, the least
// RFC 9901 section 9.3 recommends.
const saltSize = 16

// maxNesting bounds how deep objects, arrays and disclosures within disclosures
// may go when a presentation is put together again.
const maxNesting = 64

// Disclosure is one restricted attribute of a record in its SD-JWT form (RFC
// 9901 section 4.2), kept apart from the signed bytes so that it can be erased.
type Disclosure struct {
	Attribute string        // catalogue id
	Tier      passport.Tier // who may see it
	Encoded   string        // base64url, exactly as hashed
}

// restriction says where a record hides an attribute: the object member at
// path, whole, or each element of the array there.
type restriction struct {
	attribute string
	tier      passport.Tier
	path      []string
	elements  bool
}

// conceal returns a copy of subject in which every restricted attribute that
// is present is replaced by its digest, and the disclosures in the order of
// the restrictions. Salts come from random.
func conceal(subject map[string]any, hidden []restriction, random io.Reader) (map[string]any, []Disclosure, error) {
	if at := reservedMember(subject); at != "" {
		return nil, nil, faultf("record.reservedMember", "the record uses the member name %q, which belongs to SD-JWT", at)
	}
	open, _ := clone(subject).(map[string]any)
	var disclosures []Disclosure
	touched := make([]map[string]any, 0, len(hidden))
	for _, h := range hidden {
		parent, name := descend(open, h.path)
		value, present := parent[name]
		if !present {
			continue
		}
		encoded, err := h.hide(parent, name, value, random)
		if err != nil {
			return nil, nil, err
		}
		for _, e := range encoded {
			disclosures = append(disclosures, Disclosure{Attribute: h.attribute, Tier: h.tier, Encoded: e})
		}
		touched = append(touched, parent)
	}
	for _, object := range touched {
		sortDigests(object)
	}
	return open, disclosures, nil
}

// hide takes the value out of its parent and leaves a digest, or one digest
// for each element.
func (h restriction) hide(parent map[string]any, name string, value any, random io.Reader) ([]string, error) {
	if !h.elements {
		encoded, err := disclose(random, name, value)
		if err != nil {
			return nil, err
		}
		delete(parent, name)
		digests, _ := parent[digestsMember].([]any)
		parent[digestsMember] = append(digests, digestOf(encoded))
		return []string{encoded}, nil
	}
	elements, ok := value.([]any)
	if !ok {
		return nil, faultf("record.notAnArray", "%s is disclosed element by element but is no array", h.attribute)
	}
	encoded := make([]string, len(elements))
	concealed := make([]any, len(elements))
	for i, element := range elements {
		e, err := disclose(random, element)
		if err != nil {
			return nil, err
		}
		encoded[i], concealed[i] = e, map[string]any{elementMember: digestOf(e)}
	}
	parent[name] = concealed
	return encoded, nil
}

// disclose encodes a disclosure: salt, then member name and value, or the
// array element alone.
func disclose(random io.Reader, parts ...any) (string, error) {
	var salt [saltSize]byte
	if _, err := io.ReadFull(random, salt[:]); err != nil {
		return "", fmt.Errorf("draw salt: %w", err)
	}
	text, err := strictjson.Marshal(append([]any{base64.RawURLEncoding.EncodeToString(salt[:])}, parts...))
	if err != nil {
		return "", fmt.Errorf("encode disclosure: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(text), nil
}

// digestOf hashes the transmitted text of a disclosure (RFC 9901 section
// 4.2.3), which is never decoded and encoded again.
func digestOf(encoded string) string {
	sum := sha256.Sum256([]byte(encoded))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sortDigests hides the order in which attributes were concealed.
func sortDigests(object map[string]any) {
	digests, ok := object[digestsMember].([]any)
	if !ok {
		return
	}
	slices.SortFunc(digests, func(a, b any) int {
		left, _ := a.(string)
		right, _ := b.(string)
		if left < right {
			return -1
		}
		return 1
	})
}

// descend returns the object that holds the last member of path, and that
// member's name. A path that leaves the record yields a nil object.
func descend(object map[string]any, path []string) (map[string]any, string) {
	last := len(path) - 1
	for _, name := range path[:last] {
		object, _ = object[name].(map[string]any)
	}
	return object, path[last]
}

// clone copies the objects and arrays of a JSON tree.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[name] = clone(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = clone(element)
		}
		return out
	}
	return v
}

// reservedMember returns the first SD-JWT member name found in a tree, or "".
func reservedMember(v any) string {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if name == digestsMember || name == algorithmMember || name == elementMember {
				return name
			}
			if found := reservedMember(member); found != "" {
				return found
			}
		}
	case []any:
		for _, element := range v {
			if found := reservedMember(element); found != "" {
				return found
			}
		}
	}
	return ""
}

// process puts a presentation together after RFC 9901 section 7.1 step 3 and
// refuses everything that section refuses. It must only see a payload whose
// signature holds. It returns the processed claims and the number of digests
// for which no disclosure was presented.
func process(payload map[string]any, disclosures []string) (map[string]any, int, error) {
	if alg, present := payload[algorithmMember]; present && alg != hashName {
		return nil, 0, faultf("disclosures.hash", "%s must be %q", algorithmMember, hashName)
	}
	a := assembly{byDigest: make(map[string]*disclosed, len(disclosures)), seen: make(map[string]bool)}
	for _, encoded := range disclosures {
		d, err := decodeDisclosure(encoded)
		if err != nil {
			return nil, 0, err
		}
		digest := digestOf(encoded)
		if a.byDigest[digest] != nil {
			return nil, 0, faultf("disclosures.repeated", "a disclosure is presented twice")
		}
		a.byDigest[digest] = d
	}
	top := make(map[string]any, len(payload))
	for name, member := range payload {
		if name != algorithmMember {
			top[name] = member
		}
	}
	processed, err := a.object(top, 0)
	if err != nil {
		return nil, 0, err
	}
	for _, d := range a.byDigest {
		if !d.used {
			return nil, 0, faultf("disclosures.unreferenced", "a disclosure is presented that no signed digest refers to")
		}
	}
	return processed, a.withheld, nil
}

// disclosed is a decoded disclosure: of an object member, or of an array
// element.
type disclosed struct {
	member bool
	name   string
	value  any
	used   bool
}

func decodeDisclosure(encoded string) (*disclosed, error) {
	text, err := decodeSegment(encoded)
	if err != nil {
		return nil, faultf("disclosures.encoding", "a disclosure is not base64url")
	}
	tree, err := strictjson.Parse(text)
	if err != nil {
		return nil, faultf("disclosures.json", "a disclosure is not acceptable JSON: %v", err)
	}
	parts, ok := tree.([]any)
	if !ok || len(parts) < 2 || len(parts) > 3 {
		return nil, faultf("disclosures.shape", "a disclosure is no array of two or three elements")
	}
	if _, ok := parts[0].(string); !ok {
		return nil, faultf("disclosures.shape", "the salt of a disclosure is not a string")
	}
	if len(parts) == 2 {
		return &disclosed{value: parts[1]}, nil
	}
	name, ok := parts[1].(string)
	if !ok {
		return nil, faultf("disclosures.shape", "the member name of a disclosure is not a string")
	}
	if name == digestsMember || name == elementMember || name == algorithmMember {
		return nil, faultf("disclosures.reservedName", "a disclosure is named %q", name)
	}
	return &disclosed{member: true, name: name, value: parts[2]}, nil
}

// assembly is the state of one run of process.
type assembly struct {
	byDigest map[string]*disclosed
	seen     map[string]bool // every digest met so far, disclosed or not
	withheld int
}

func (a *assembly) value(v any, depth int) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		return a.object(v, depth)
	case []any:
		return a.array(v, depth)
	}
	return v, nil
}

func (a *assembly) object(in map[string]any, depth int) (map[string]any, error) {
	if depth > maxNesting {
		return nil, faultf("disclosures.depth", "the claims nest deeper than %d", maxNesting)
	}
	out := make(map[string]any, len(in))
	for name, member := range in {
		if name == digestsMember {
			continue
		}
		if name == elementMember || name == algorithmMember {
			return nil, faultf("disclosures.reservedName", "the member %q stands where it means nothing", name)
		}
		processed, err := a.value(member, depth+1)
		if err != nil {
			return nil, err
		}
		out[name] = processed
	}
	hidden, present := in[digestsMember]
	if !present {
		return out, nil
	}
	digests, ok := hidden.([]any)
	if !ok {
		return nil, faultf("disclosures.digests", "%s is no array", digestsMember)
	}
	return out, a.members(out, digests, depth)
}

// members adds the disclosed members of an object to out.
func (a *assembly) members(out map[string]any, digests []any, depth int) error {
	for _, digest := range digests {
		d, err := a.lookUp(digest)
		if err != nil {
			return err
		}
		if d == nil {
			continue
		}
		if !d.member {
			return faultf("disclosures.shape", "an object member is disclosed without a name")
		}
		if _, taken := out[d.name]; taken {
			return faultf("disclosures.nameTaken", "the disclosed member %q already stands beside its digest", d.name)
		}
		processed, err := a.value(d.value, depth+1)
		if err != nil {
			return err
		}
		out[d.name] = processed
	}
	return nil
}

func (a *assembly) array(in []any, depth int) ([]any, error) {
	if depth > maxNesting {
		return nil, faultf("disclosures.depth", "the claims nest deeper than %d", maxNesting)
	}
	out := make([]any, 0, len(in))
	for _, element := range in {
		digest, concealed, err := elementDigest(element)
		if err != nil {
			return nil, err
		}
		if concealed {
			d, err := a.lookUp(digest)
			if err != nil {
				return nil, err
			}
			if d == nil {
				continue
			}
			if d.member {
				return nil, faultf("disclosures.shape", "an array element is disclosed with a name")
			}
			element = d.value
		}
		processed, err := a.value(element, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, processed)
	}
	return out, nil
}

// elementDigest recognises a concealed array element (RFC 9901 section
// 4.2.4.2): an object whose only member is "...".
func elementDigest(element any) (digest any, concealed bool, err error) {
	object, ok := element.(map[string]any)
	if !ok {
		return nil, false, nil
	}
	digest, concealed = object[elementMember]
	if concealed && len(object) != 1 {
		return nil, false, faultf("disclosures.reservedName", "a concealed array element has other members")
	}
	return digest, concealed, nil
}

// lookUp returns the disclosure for a digest, or nil when it is withheld. A
// digest that was met before is refused.
func (a *assembly) lookUp(digest any) (*disclosed, error) {
	text, ok := digest.(string)
	if !ok {
		return nil, faultf("disclosures.digests", "a digest is not a string")
	}
	if a.seen[text] {
		return nil, faultf("disclosures.digestRepeated", "a digest occurs twice")
	}
	a.seen[text] = true
	d := a.byDigest[text]
	if d == nil {
		a.withheld++
		return nil, nil //nolint:nilnil // absent is an answer here: the attribute is withheld
	}
	d.used = true
	return d, nil
}
