package credential

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provolt/provolt/internal/strictjson"
)

// vectors is the form of testdata/rfc9901.json.
type vectors struct {
	Key    map[string]any `json:"key"`
	Typ    string         `json:"typ"`
	Tokens []struct {
		Name      string          `json:"name"`
		Token     string          `json:"token"`
		Withheld  int             `json:"withheld"`
		Processed json.RawMessage `json:"processed"`
	} `json:"tokens"`
	Recursive struct {
		Payload     json.RawMessage `json:"payload"`
		Disclosures []string        `json:"disclosures"`
		Withheld    int             `json:"withheld"`
		Processed   json.RawMessage `json:"processed"`
	} `json:"recursive"`
	Digests []struct {
		Disclosure string `json:"disclosure"`
		Digest     string `json:"digest"`
	} `json:"digests"`
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	text, err := os.ReadFile("testdata/rfc9901.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// object parses JSON into a tree with exact numbers.
func object(t testing.TB, text []byte) map[string]any {
	t.Helper()
	tree, err := strictjson.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tree.(map[string]any)
}

func TestDigestsOfRFC9901(t *testing.T) {
	for _, d := range readVectors(t).Digests {
		if got := digestOf(d.Disclosure); got != d.Digest {
			t.Errorf("%s hashes to %s, want %s", d.Disclosure, got, d.Digest)
		}
	}
}

func TestTokensOfRFC9901VerifyAndProcess(t *testing.T) {
	v := readVectors(t)
	key, err := parseJWK(v.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, vector := range v.Tokens {
		t.Run(vector.Name, func(t *testing.T) {
			parts := strings.Split(vector.Token, "~")
			jws := splitCompact(t, parts[0])
			if jws.header["typ"] != v.Typ {
				t.Fatalf("typ %v, want %s", jws.header["typ"], v.Typ)
			}
			if err := jws.verify(key); err != nil {
				t.Fatal(err)
			}
			got, withheld, err := process(jws.payload, parts[1:len(parts)-1])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, vector.Processed), got); diff != "" {
				t.Error(diff)
			}
			if withheld != vector.Withheld {
				t.Errorf("%d withheld, want %d", withheld, vector.Withheld)
			}
		})
	}
}

func TestRecursiveDisclosureOfRFC9901(t *testing.T) {
	v := readVectors(t).Recursive
	got, withheld, err := process(object(t, v.Payload), v.Disclosures)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object(t, v.Processed), got); diff != "" {
		t.Error(diff)
	}
	if withheld != v.Withheld {
		t.Errorf("%d withheld, want %d", withheld, v.Withheld)
	}
}

func TestTokensOfRFC9901AreNoRecords(t *testing.T) {
	for _, vector := range readVectors(t).Tokens {
		if _, err := Parse([]byte(vector.Token)); err == nil {
			t.Errorf("%s was taken for a record credential", vector.Name)
		}
	}
}

// splitCompact reads a foreign JWS, whose header this registry would refuse.
func splitCompact(t testing.TB, text string) compact {
	t.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	header, err := decodeObject(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	payload, err := decodeObject(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	signature, err := decodeSegment(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	return compact{signed: parts[0] + "." + parts[1], header: header, payload: payload, signature: signature}
}

func TestProofOfW3CVectorHolds(t *testing.T) {
	text, err := os.ReadFile("testdata/eddsa-jcs-2022.json")
	if err != nil {
		t.Fatal(err)
	}
	vector := object(t, text)
	signed := vector["signed"].(map[string]any)
	proof := signed["proof"].(map[string]any)
	multikey, err := parseMultibase(vector["publicKeyMultibase"].(string))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2023, 2, 24, 23, 36, 38, 0, time.UTC)
	key := PublicKey{id: proof["verificationMethod"].(string), key: ed25519.PublicKey(multikey[2:])}
	if err := checkProof(signed, []PublicKey{key}, at); err != nil {
		t.Fatal(err)
	}
	document, options := maps.Clone(signed), maps.Clone(proof)
	delete(document, "proof")
	delete(options, "proofValue")
	hash, err := proofHash(document, options)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(hash[sha256.Size:]); got != vector["documentHash"] {
		t.Errorf("document hash %s, want %s", got, vector["documentHash"])
	}

	changed := maps.Clone(signed)
	changed["name"] = "Another Credential"
	if err := checkProof(changed, []PublicKey{key}, at); err == nil {
		t.Error("a changed document keeps its proof")
	}
}
