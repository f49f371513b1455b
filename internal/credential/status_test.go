package credential

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// registry is the operator of the tests: one key of each kind.
type registry struct {
	did    string
	signer *ecdsa.PrivateKey
	prover ed25519.PrivateKey
	keys   []PublicKey
}

func newRegistry(t testing.TB) registry {
	t.Helper()
	_, prover, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := registry{did: "did:web:registry.example", signer: newKey(t), prover: prover}
	since := testTime.Add(-time.Hour)
	for id, key := range map[string]any{r.signerID(): r.signer.Public(), r.proverID(): prover.Public()} {
		public, err := publicKey(id, key, since, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		r.keys = append(r.keys, public)
	}
	return r
}

func (r registry) signerID() string { return r.did + "#k-es256" }
func (r registry) proverID() string { return r.did + "#k-ed25519" }

func (r registry) list() StatusList {
	return StatusList{
		BaseURL: testBase, Issuer: Party{DID: r.did, Name: "Example Registry"}, List: 3,
		Statuses: map[int]Status{0: Revoked, 1: Suspended, 9: Revoked, 94567: Suspended, ListSize - 1: Revoked},
		IssuedAt: testTime, ExpiresAt: testTime.Add(24 * time.Hour), TTL: 5 * time.Minute,
	}
}

// forms makes the list in every published form, by a name for messages.
func (r registry) forms(t testing.TB, l StatusList) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, purpose := range []Purpose{Revocation, Suspension} {
		jwt, err := l.JWT(purpose, r.signerID(), r.signer)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := l.JSON(purpose, r.proverID(), r.prover)
		if err != nil {
			t.Fatal(err)
		}
		out[string(purpose)+" vc+jwt"], out[string(purpose)+" JSON"] = jwt, plain
	}
	token, err := l.TokenJWT(r.signerID(), r.signer)
	if err != nil {
		t.Fatal(err)
	}
	out["statuslist+jwt"] = token
	return out
}

func TestStatusPositionsArePermuted(t *testing.T) {
	secret := []byte("a secret of thirty-two bytes ...")
	for _, list := range []int{0, 7} {
		seen := make([]bool, ListSize)
		inOrder := 0
		for offset := range ListSize {
			gotList, index := StatusIndex(secret, int64(list)*ListSize+int64(offset))
			if gotList != list || index < 0 || index >= ListSize || seen[index] {
				t.Fatalf("slot %d of list %d stands at %d of list %d", offset, list, index, gotList)
			}
			seen[index] = true
			if index == offset {
				inOrder++
			}
		}
		if inOrder > 20 { // about one is expected of a random permutation
			t.Errorf("%d slots stand where they were counted", inOrder)
		}
	}
	_, first := StatusIndex(secret, 5)
	_, second := StatusIndex(secret, ListSize+5)
	_, third := StatusIndex([]byte("another"), 5)
	if first == second || first == third {
		t.Error("the permutation depends on neither list nor secret")
	}
	if list, index := StatusIndex(secret, -1); list != -1 || index != -1 {
		t.Errorf("no slot stands at %d, %d", list, index)
	}
}

func TestStatusListsReadBack(t *testing.T) {
	r := newRegistry(t)
	l := r.list()
	for name, form := range r.forms(t, l) {
		t.Run(name, func(t *testing.T) {
			read, err := ParseList(form, r.did, r.keys)
			if err != nil {
				t.Fatal(err)
			}
			if !read.IssuedAt.Equal(l.IssuedAt) || !read.ExpiresAt.Equal(l.ExpiresAt) || read.TTL != l.TTL {
				t.Errorf("times %v, %v, %v", read.IssuedAt, read.ExpiresAt, read.TTL)
			}
			want := TokenStatusURL(testBase, 3)
			if read.Purpose != "" {
				want = StatusURL(testBase, read.Purpose, 3)
			}
			if read.URL != want {
				t.Errorf("URL %s, want %s", read.URL, want)
			}
			for index := range ListSize {
				status := l.Statuses[index]
				if read.Purpose == Revocation && status == Suspended || read.Purpose == Suspension && status == Revoked {
					status = Valid
				}
				if got, err := read.At(index); err != nil || got != status {
					t.Fatalf("entry %d is %d, %v; want %d", index, got, err, status)
				}
			}
			if _, err := read.At(ListSize); err == nil {
				t.Error("an entry beyond the end has a status")
			}
		})
	}
}

func TestStatusListsAreDeterministic(t *testing.T) {
	r := newRegistry(t)
	first, second := r.forms(t, r.list()), r.forms(t, r.list())
	for name, form := range first {
		if !bytes.Equal(form, second[name]) {
			t.Errorf("%s differs from itself", name)
		}
	}
}

// TestBitsStandWhereTheStandardsPutThem decodes the lists by hand: bit 0 of a
// Bitstring list is the leftmost, entry 0 of a token list the rightmost.
func TestBitsStandWhereTheStandardsPutThem(t *testing.T) {
	r := newRegistry(t)
	forms := r.forms(t, r.list())
	plain := object(t, forms["revocation JSON"])
	encoded := plain["credentialSubject"].(map[string]any)["encodedList"].(string)
	bits := inflate(t, encoded[1:], func(b io.Reader) (io.Reader, error) { return gzip.NewReader(b) })
	if encoded[0] != 'u' || len(bits) != 16<<10 || bits[0] != 0x80 || bits[1] != 0x40 || bits[len(bits)-1] != 0x01 {
		t.Errorf("revocation list of %d bytes begins %x and ends %x", len(bits), bits[:2], bits[len(bits)-1])
	}
	token := payloadOf(t, forms["statuslist+jwt"])
	lst := token["status_list"].(map[string]any)["lst"].(string)
	bits = inflate(t, lst, func(b io.Reader) (io.Reader, error) { return zlib.NewReader(b) })
	if len(bits) != 32<<10 || bits[0] != 0b1001 || bits[2] != 0b100 || bits[len(bits)-1] != 0b01000000 {
		t.Errorf("token list of %d bytes begins %x and ends %x", len(bits), bits[:3], bits[len(bits)-1])
	}
}

func inflate(t *testing.T, encoded string, reader func(io.Reader) (io.Reader, error)) []byte {
	t.Helper()
	packed, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	r, err := reader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	bits, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return bits
}

func TestForgedStatusListsAreRefused(t *testing.T) {
	r, stranger := newRegistry(t), newRegistry(t)
	late := r.list()
	late.IssuedAt = testTime.Add(-2 * time.Hour) // before the keys were in use
	for name, form := range stranger.forms(t, r.list()) {
		if _, err := ParseList(form, r.did, r.keys); err == nil {
			t.Errorf("%s by a stranger is accepted", name)
		}
	}
	for name, form := range r.forms(t, late) {
		if _, err := ParseList(form, r.did, r.keys); code(err) != "signature.keyNotInUse" {
			t.Errorf("%s from before the key's time: %v", name, err)
		}
	}
	for name, form := range r.forms(t, r.list()) {
		if _, err := ParseList(form, "did:web:other.example", r.keys); err == nil {
			t.Errorf("%s passes for that of another registry", name)
		}
		for i := 0; i < len(form); i += 97 {
			changed := bytes.Clone(form)
			changed[i] ^= 2
			if _, err := ParseList(changed, r.did, r.keys); err == nil {
				t.Errorf("%s with byte %d changed is accepted", name, i)
			}
		}
	}
	issued, _ := issueBatch(t, r.signer)
	if _, err := ParseList(issued.JWS, r.did, r.keys); err == nil {
		t.Error("a record passes for a status list")
	}
	for _, list := range [][]byte{nil, []byte("{}"), []byte("a.b.c"), []byte(strings.Repeat("a", maxListToken+1))} {
		if _, err := ParseList(list, r.did, r.keys); code(err) == "" {
			t.Errorf("%.20q: %v", list, err)
		}
	}
}

func TestListThatUnpacksToMoreIsNotUnpacked(t *testing.T) {
	r := newRegistry(t)
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	if _, err := w.Write(make([]byte, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	token := signClaims(t, map[string]any{"alg": "ES256", "typ": "statuslist+jwt", "kid": r.signerID()}, map[string]any{
		"iss": r.did, "sub": TokenStatusURL(testBase, 3), "iat": number(testTime.Unix()), "exp": number(testTime.Unix() + 60), "ttl": number(60),
		"status_list": map[string]any{"bits": number(2), "lst": encodeSegment(packed.Bytes())},
	}, r.signer)
	if _, err := ParseList(token, r.did, r.keys); code(err) != "status.length" {
		t.Errorf("got %v", err)
	}
}

func TestListsThatMakeNoSenseAreNotMade(t *testing.T) {
	r := newRegistry(t)
	for name, change := range map[string]func(*StatusList){
		"an entry beyond the end": func(l *StatusList) { l.Statuses = map[int]Status{ListSize: Revoked} },
		"a status of its own":     func(l *StatusList) { l.Statuses = map[int]Status{1: 3} },
		"an end before its begin": func(l *StatusList) { l.ExpiresAt = l.IssuedAt },
		"no time to live":         func(l *StatusList) { l.TTL = 0 },
		"a negative number":       func(l *StatusList) { l.List = -1 },
		"no base URL":             func(l *StatusList) { l.BaseURL = "" },
	} {
		l := r.list()
		change(&l)
		if _, err := l.JWT(Revocation, r.signerID(), r.signer); err == nil {
			t.Errorf("%s: vc+jwt was made", name)
		}
		if _, err := l.TokenJWT(r.signerID(), r.signer); err == nil {
			t.Errorf("%s: statuslist+jwt was made", name)
		}
	}
	if _, err := r.list().JSON(Revocation, r.signerID(), r.signer); err == nil {
		t.Error("a P-256 key made an Ed25519 proof")
	}
	if _, err := r.list().TokenJWT(r.proverID(), r.prover); err == nil {
		t.Error("an Ed25519 key made an ES256 token")
	}
}

func TestSecondImplementationVerifiesStatusLists(t *testing.T) {
	r := newRegistry(t)
	for name, form := range r.forms(t, r.list()) {
		if strings.HasSuffix(name, "JSON") {
			continue
		}
		parsed, err := jose.ParseSignedCompact(string(form), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parsed.Verify(r.signer.Public()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
