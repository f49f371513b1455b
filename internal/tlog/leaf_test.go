package tlog_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/provolt/provolt/internal/tlog"
)

// The bytes of an entry are final: these vectors are what other programs
// recompute, and no release may change them.
func TestTheBytesOfAnEntryNeverChange(t *testing.T) {
	t.Parallel()
	salt := [tlog.SaltSize]byte([]byte("0123456789abcdef"))
	record, token := sha256.Sum256([]byte("record")), sha256.Sum256([]byte("token~"))
	commitment := tlog.Commitment("passport", salt, record, token)
	if got, want := hex.EncodeToString(commitment[:]), commitmentVector; got != want {
		t.Errorf("commitment = %s, want %s", got, want)
	}
	// The same, said once more: domain, type and zero, salt, two digests.
	spelt := bytes.Join([][]byte{[]byte("provolt/leaf/v1\x00passport\x00"), salt[:], record[:], token[:]}, nil)
	if sha256.Sum256(spelt) != commitment {
		t.Error("the commitment is not the digest of what its comment says")
	}
	want := `{"c":"` + base64.RawURLEncoding.EncodeToString(commitment[:]) + `","t":"issue","v":1}`
	if got := string(tlog.IssueLeaf(commitment)); got != want {
		t.Errorf("entry = %s, want %s", got, want)
	}
	public, err := tlog.PublicLeaf(tlog.Suspend, map[string]string{"target": "x", "actor": "did:web:r.example", "reason": "dataDisputed", "at": "2027-04-01T09:00:00Z"})
	if err != nil {
		t.Fatal(err)
	}
	want = `{"actor":"did:web:r.example","at":"2027-04-01T09:00:00Z","reason":"dataDisputed","t":"suspend","target":"x","v":1}`
	if string(public) != want {
		t.Errorf("entry = %s, want %s", public, want)
	}
}

const commitmentVector = "f234f3cedae74cb0ef3b25eda30ee5225cdd0dd42c40407c044b9648eb6c714f"

func TestAnyChangeGivesAnotherCommitment(t *testing.T) {
	t.Parallel()
	types := rapid.SampledFrom([]string{"model", "batch", "passport"})
	bits := rapid.IntRange(0, 8*(tlog.SaltSize+2*sha256.Size)-1)
	rapid.Check(t, func(t *rapid.T) {
		kind := types.Draw(t, "type")
		input := rapid.SliceOfN(rapid.Byte(), tlog.SaltSize+2*sha256.Size, -1).Draw(t, "input")
		before := commit(kind, input)
		if after := commit(types.Filter(func(s string) bool { return s != kind }).Draw(t, "other type"), input); after == before {
			t.Fatal("two types share a commitment")
		}
		at := bits.Draw(t, "bit")
		input[at/8] ^= 1 << (at % 8)
		if commit(kind, input) == before {
			t.Fatalf("bit %d does not count", at)
		}
	})
}

func commit(kind string, in []byte) [sha256.Size]byte {
	salt, rest := in[:tlog.SaltSize], in[tlog.SaltSize:]
	return tlog.Commitment(kind, [tlog.SaltSize]byte(salt), [sha256.Size]byte(rest), [sha256.Size]byte(rest[sha256.Size:]))
}

func TestAPublicEntryIsReadBackWhole(t *testing.T) {
	t.Parallel()
	texts := rapid.StringN(0, 40, 200)
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.MapOf(rapid.StringMatching(`[a-z]{2,10}`), texts).Draw(t, "body")
		leaf, err := tlog.PublicLeaf(tlog.Key, body)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(leaf, &got); err != nil {
			t.Fatal(err)
		}
		if len(got) != len(body)+2 || got["t"] != "key" || got["v"] != 1.0 {
			t.Fatalf("%s from %v", leaf, body)
		}
		for name, text := range body {
			if got[name] != text {
				t.Fatalf("%s: %q became %q", name, text, got[name])
			}
		}
	})
}

func TestAnEntryFitsTheLog(t *testing.T) {
	t.Parallel()
	frame, err := tlog.PublicLeaf(tlog.Organisation, map[string]string{"name": ""})
	if err != nil {
		t.Fatal(err)
	}
	for size, fits := range map[int]bool{tlog.MaxLeaf: true, tlog.MaxLeaf + 1: false} {
		leaf, err := tlog.PublicLeaf(tlog.Organisation, map[string]string{"name": strings.Repeat("x", size-len(frame))})
		if (err == nil) != fits || fits && len(leaf) != size {
			t.Errorf("an entry of %d bytes: %v", size, err)
		}
	}
}
