//go:build interop

package credential

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/provolt/provolt/internal/passport"
	"github.com/provolt/provolt/internal/strictjson"
)

// The input of tools/interop/verify.mjs, which says what each member is.
type (
	interopInput struct {
		DIDs          []map[string]any           `json:"dids"`
		Presentations []interopPresentation      `json:"presentations"`
		Foreign       []interopForeign           `json:"foreign"`
		StatusLists   []interopList              `json:"statusLists"`
		Contexts      map[string]json.RawMessage `json:"contexts"`
	}
	interopPresentation struct {
		Name    string          `json:"name"`
		Group   string          `json:"group"`
		Token   string          `json:"token"`
		Subject json.RawMessage `json:"subject"`
	}
	interopForeign struct {
		Name  string `json:"name"`
		Token string `json:"token"`
	}
	interopList struct {
		Token    string         `json:"token"`
		Expected map[int]Status `json:"expected"`
	}
)

// TestOutsideVerifiersAgree hands what each role of the registry is shown to
// verifiers that others wrote. It needs Node.js and the packages of
// tools/interop (make test-interop).
func TestOutsideVerifiersAgree(t *testing.T) {
	readers := map[string]passport.Tiers{
		"public":              0,
		"legitimate interest": passport.TiersOf(passport.Point2, passport.Point4),
		"authority":           passport.TiersOf(passport.Point2, passport.Point3, passport.Origin),
		"contracted verifier": passport.TiersOf(passport.Origin),
		"issuer":              passport.AllTiers(),
	}
	key := newKey(t)
	public, err := publicKey(testKID, key.Public(), testTime, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	context, err := os.ReadFile(contextFile)
	if err != nil {
		t.Fatal(err)
	}
	in := interopInput{
		DIDs:     []map[string]any{DIDDocument(testDID, []PublicKey{public})},
		Contexts: map[string]json.RawMessage{ContextURL(testBase): context},
	}
	records, cat, _ := examples(t)
	for _, recordType := range passport.RecordTypes() {
		env := exampleEnvelope(t, recordType)
		env.ValidFrom = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC) // the libraries' clock is the real one
		env.Pins = batchEnvelope(t).Pins
		if recordType == passport.Condition {
			env.Previous = &[32]byte{1}
		}
		issued, err := Issue(records[recordType], cat, env, testKID, key, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for reader, tiers := range readers {
			token := Present(issued.JWS, issued.Disclosures, tiers)
			in.Presentations = append(in.Presentations, interopPresentation{
				Name: string(recordType) + " for " + reader, Group: string(recordType), Token: string(token), Subject: shown(t, token, key),
			})
		}
		for _, typ := range []string{"dc+sd-jwt", "vc+jwt", "at+jwt", "JWT", ""} {
			header := recordHeader()
			header["typ"] = typ
			in.Foreign = append(in.Foreign, interopForeign{
				Name:  string(recordType) + " signed with the type " + strconv.Quote(typ),
				Token: string(signClaims(t, header, payloadOf(t, issued.JWS), key)) + "~",
			})
		}
	}
	statuses := map[int]Status{0: Revoked, 1: Valid, 5: Suspended, ListSize - 1: Suspended}
	list, err := StatusList{
		BaseURL: testBase, Issuer: Party{DID: testDID, Name: "Example"}, Statuses: statuses,
		IssuedAt: testTime, ExpiresAt: testTime.Add(time.Hour), TTL: time.Minute,
	}.TokenJWT(testKID, key)
	if err != nil {
		t.Fatal(err)
	}
	in.StatusLists = append(in.StatusLists, interopList{Token: string(list), Expected: statuses})

	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "presentations.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "node", "../../tools/interop/verify.mjs", file).CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !strings.Contains(string(out), " passed, 0 failed") {
		t.Errorf("the verifiers disagree: %v", err)
	}
}

// shown is the subject as our own verifier shows it.
func shown(t *testing.T, token []byte, key *ecdsa.PrivateKey) json.RawMessage {
	t.Helper()
	verified, _, err := open(token, key)
	if err != nil {
		t.Fatal(err)
	}
	subject, err := verified.Subject()
	if err != nil {
		t.Fatal(err)
	}
	text, err := strictjson.Marshal(subject)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
