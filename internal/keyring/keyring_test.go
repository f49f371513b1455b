package keyring

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const did = "did:web:registry.example:o:acme"

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// sealed protects a keyring as production does, but with a cheap derivation.
func sealed() Options {
	return Options{Passphrase: []byte("correct horse"), Production: true, workFactor: 5}
}

func mustOpen(t *testing.T, dir string, o Options) *Keyring {
	t.Helper()
	k, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustCreate(t *testing.T, k *Keyring, alg string, notBefore time.Time) Public {
	t.Helper()
	public, err := k.Create("acme", alg, did, now, notBefore)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func TestKeysSurviveReopening(t *testing.T) {
	for name, options := range map[string]Options{"plain": {}, "sealed": sealed()} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			k := mustOpen(t, dir, options)
			es256, eddsa := mustCreate(t, k, ES256, now), mustCreate(t, k, Ed25519, now)
			k = mustOpen(t, dir, options)
			for _, public := range []Public{es256, eddsa} {
				kid, signer, err := k.Signer("acme", public.Algorithm, now)
				if err != nil || kid != public.ID {
					t.Fatalf("%s: got %s, %v", public.Algorithm, kid, err)
				}
				if !strings.HasPrefix(kid, did+"#k-20261122-") {
					t.Errorf("key id %s", kid)
				}
				assertSigns(t, signer, public.PublicKey)
			}
		})
	}
}

// assertSigns checks that the signer belongs to the published key.
func assertSigns(t *testing.T, s crypto.Signer, der []byte) {
	t.Helper()
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("message"))
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		signature, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil || !ecdsa.VerifyASN1(key, digest[:], signature) {
			t.Errorf("the signature does not hold: %v", err)
		}
	case ed25519.PublicKey:
		signature, err := s.Sign(rand.Reader, digest[:], crypto.Hash(0))
		if err != nil || !ed25519.Verify(key, digest[:], signature) {
			t.Errorf("the signature does not hold: %v", err)
		}
	default:
		t.Errorf("a key of type %T", public)
	}
}

func TestRotationOverlapsAndRetiredKeysStopSigning(t *testing.T) {
	k := mustOpen(t, t.TempDir(), Options{})
	week := 7 * 24 * time.Hour
	old := mustCreate(t, k, ES256, now)
	next := mustCreate(t, k, ES256, now.Add(week)) // published a week before it signs
	for _, row := range []struct {
		at   time.Time
		want string
	}{{now, old.ID}, {now.Add(week - 1), old.ID}, {now.Add(week), next.ID}, {now.Add(100 * week), next.ID}} {
		if kid, _, err := k.Signer("acme", ES256, row.at); err != nil || kid != row.want {
			t.Errorf("at %s: %s, %v; want %s", row.at, kid, err, row.want)
		}
	}
	if _, _, err := k.Signer("acme", ES256, now.Add(-1)); !errors.Is(err, ErrNoKey) {
		t.Errorf("before the first: %v", err)
	}
	if err := k.Retire(next.ID, now.Add(2*week)); err != nil {
		t.Fatal(err)
	}
	if err := k.Retire(next.ID, now.Add(50*week)); err != nil { // later than before: no change
		t.Fatal(err)
	}
	if kid, _, err := k.Signer("acme", ES256, now.Add(2*week)); err != nil || kid != old.ID {
		t.Errorf("after the retirement: %s, %v", kid, err)
	}
	if err := k.Retire(old.ID, now); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Signer("acme", ES256, now.Add(2*week)); !errors.Is(err, ErrNoKey) {
		t.Errorf("after both retirements: %v", err)
	}
	if err := k.Retire("did:web:x#unknown", now); !errors.Is(err, ErrNoKey) {
		t.Errorf("an unknown key: %v", err)
	}
}

func TestOwnersAndAlgorithmsAreKeptApart(t *testing.T) {
	k := mustOpen(t, t.TempDir(), Options{})
	mustCreate(t, k, ES256, now)
	if _, _, err := k.Signer("other", ES256, now); !errors.Is(err, ErrNoKey) {
		t.Errorf("another owner: %v", err)
	}
	if _, _, err := k.Signer("acme", Ed25519, now); !errors.Is(err, ErrNoKey) {
		t.Errorf("another algorithm: %v", err)
	}
	for name, create := range map[string]func() (Public, error){
		"an owner that is a path": func() (Public, error) { return k.Create("../x", ES256, did, now, now) },
		"an unknown algorithm":    func() (Public, error) { return k.Create("acme", "RS256", did, now, now) },
		"no DID":                  func() (Public, error) { return k.Create("acme", ES256, "", now, now) },
		"a DID with a fragment":   func() (Public, error) { return k.Create("acme", ES256, did+"#x", now, now) },
	} {
		if _, err := create(); err == nil {
			t.Errorf("%s made a key", name)
		}
	}
}

func TestSealedKeysNeedThePassphrase(t *testing.T) {
	dir := t.TempDir()
	k := mustOpen(t, dir, sealed())
	mustCreate(t, k, ES256, now)
	if _, err := k.Secret("status"); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]Options{
		"no passphrase":               {},
		"no passphrase in production": {Production: true},
		"another passphrase":          {Passphrase: []byte("wrong")},
		"another one, in production":  {Passphrase: []byte("wrong"), Production: true},
	} {
		if _, err := Open(dir, options); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%s: %v", name, err)
		}
	}
	private, err := x509.MarshalPKCS8PrivateKey(mustSigner(t, k))
	if err != nil {
		t.Fatal(err)
	}
	eachFile(t, dir, func(name string, content []byte) {
		if bytes.Contains(content, private) || bytes.Contains(content, []byte("pkcs8")) {
			t.Errorf("%s holds the private key in the clear", name)
		}
	})
}

// A new identity beside keys of the old one would hide that these are lost
// until the day one of them has to sign.
func TestALostIdentityIsNotReplaced(t *testing.T) {
	for name, seal := range map[string]func(*Keyring){
		"a key":    func(k *Keyring) { mustCreate(t, k, ES256, now) },
		"a secret": func(k *Keyring) { mustSecret(t, k) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			seal(mustOpen(t, dir, sealed()))
			identity := filepath.Join(dir, "keys", identityFile)
			backup, err := os.ReadFile(identity)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(identity); err != nil {
				t.Fatal(err)
			}
			const want = "identity.age is missing: restore it from the backup; the keys cannot be opened without it"
			if _, err := Open(dir, sealed()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("opened without its identity: %v", err)
			}
			if _, err := os.Stat(identity); err == nil {
				t.Error("an identity was made")
			}
			if err := os.WriteFile(identity, backup, fileMode); err != nil {
				t.Fatal(err)
			}
			mustOpen(t, dir, sealed())
		})
	}
}

func mustSecret(t *testing.T, k *Keyring) {
	t.Helper()
	if _, err := k.Secret("tokens"); err != nil {
		t.Fatal(err)
	}
}

func TestAKeyringOfPlainKeysMayBeginToSeal(t *testing.T) {
	dir := t.TempDir()
	mustCreate(t, mustOpen(t, dir, Options{}), ES256, now)
	mustOpen(t, dir, Options{Passphrase: sealed().Passphrase, workFactor: 5})
}

func TestAnEmptyPassphraseIsNoPassphrase(t *testing.T) {
	for _, production := range []bool{true, false} {
		_, err := Open(t.TempDir(), Options{Passphrase: []byte{}, Production: production})
		if !errors.Is(err, ErrPassphrase) || !strings.Contains(err.Error(), "the passphrase file is empty") {
			t.Errorf("production %v: %v", production, err)
		}
	}
}

func mustSigner(t *testing.T, k *Keyring) crypto.Signer {
	t.Helper()
	_, s, err := k.Signer("acme", ES256, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func eachFile(t *testing.T, dir string, see func(name string, content []byte)) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "keys", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		see(name, content)
	}
}

func TestProductionRefusesWhatOthersCanRead(t *testing.T) {
	dir := t.TempDir()
	k := mustOpen(t, dir, sealed())
	mustCreate(t, k, ES256, now)
	if _, err := k.Secret("status"); err != nil {
		t.Fatal(err)
	}
	files := []string{filepath.Join(dir, "keys")}
	eachFile(t, dir, func(name string, _ []byte) { files = append(files, name) })
	if len(files) != 4 { // the directory, the identity, a key, a secret
		t.Fatalf("files: %v", files)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s was made with mode %v", name, info.Mode())
		}
		if err := os.Chmod(name, info.Mode().Perm()|0o040); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, sealed()); !errors.Is(err, ErrExposed) {
			t.Errorf("%s readable to the group: %v", name, err)
		}
		if err := os.Chmod(name, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, dir, sealed())
}

func TestProductionRefusesPlainKeys(t *testing.T) {
	for name, leave := range map[string]func(*Keyring) error{
		"a key":    func(k *Keyring) error { _, err := k.Create("acme", ES256, did, now, now); return err },
		"a secret": func(k *Keyring) error { _, err := k.Secret("status"); return err },
	} {
		dir := t.TempDir()
		if err := leave(mustOpen(t, dir, Options{})); err != nil {
			t.Fatal(err)
		}
		k, err := Open(dir, sealed())
		if err == nil {
			_, err = k.Secret("status")
		}
		if !errors.Is(err, ErrExposed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecretsAreMadeOnceAndDiffer(t *testing.T) {
	for name, options := range map[string]Options{"plain": {}, "sealed": sealed()} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first, err := mustOpen(t, dir, options).Secret("status")
			if err != nil {
				t.Fatal(err)
			}
			k := mustOpen(t, dir, options)
			again, err := k.Secret("status")
			if err != nil {
				t.Fatal(err)
			}
			other, err := k.Secret("tokens")
			if err != nil {
				t.Fatal(err)
			}
			if len(first) != 32 || !bytes.Equal(first, again) || bytes.Equal(first, other) {
				t.Errorf("%d bytes, same again: %v, same as another: %v", len(first), bytes.Equal(first, again), bytes.Equal(first, other))
			}
			for _, bad := range []string{"", "../status", "Status", "a/b", "-a", strings.Repeat("a", 65)} {
				if _, err := k.Secret(bad); err == nil {
					t.Errorf("%q names a secret", bad)
				}
			}
		})
	}
}

func TestTwoProcessesShareAKeyring(t *testing.T) {
	dir := t.TempDir()
	server, command := mustOpen(t, dir, sealed()), mustOpen(t, dir, sealed())
	public := mustCreate(t, command, ES256, now)
	if kid, _, err := server.Signer("acme", ES256, now); err != nil || kid != public.ID {
		t.Fatalf("the server does not see the new key: %s, %v", kid, err)
	}
	if err := command.Retire(public.ID, now); err != nil {
		t.Fatal(err)
	}
	if _, _, err := server.Signer("acme", ES256, now); !errors.Is(err, ErrNoKey) {
		t.Errorf("the server does not see the retirement: %v", err)
	}
	var secrets [2][]byte
	var wait sync.WaitGroup
	for i, k := range []*Keyring{server, command} {
		wait.Go(func() {
			secret, err := k.Secret("status")
			if err != nil {
				t.Error(err)
			}
			secrets[i] = secret
		})
	}
	wait.Wait()
	if diff := cmp.Diff(secrets[0], secrets[1]); diff != "" {
		t.Errorf("two secrets of one name: %s", diff)
	}
}

func TestKeyringIsSafeForConcurrentUse(t *testing.T) {
	k := mustOpen(t, t.TempDir(), sealed())
	mustCreate(t, k, ES256, now)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 10 {
				if _, _, err := k.Signer("acme", ES256, now); err != nil {
					t.Error(err)
				}
			}
			if _, err := k.Create("acme", ES256, did, now, now.Add(time.Hour)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if len(k.entries) != 9 {
		t.Errorf("%d keys, want 9", len(k.entries))
	}
}

func TestKeyIsDecryptedOnce(t *testing.T) {
	k := mustOpen(t, t.TempDir(), sealed())
	mustCreate(t, k, ES256, now)
	if mustSigner(t, k) != mustSigner(t, k) {
		t.Error("each call opens the key again")
	}
}

func TestDamagedFilesAreReported(t *testing.T) {
	dir := t.TempDir()
	k := mustOpen(t, dir, Options{})
	first, second := mustCreate(t, k, ES256, now), mustCreate(t, k, ES256, now)
	eachFile(t, dir, func(name string, content []byte) {
		if bytes.Contains(content, []byte(first.ID)) { // the public part of one with the private part of the other
			swapped := bytes.ReplaceAll(content, []byte(encoded(t, first.PublicKey)), []byte(encoded(t, second.PublicKey)))
			if err := os.WriteFile(name, swapped, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
	if err := k.Retire(second.ID, now); err != nil {
		t.Fatal(err)
	}
	if kid, _, err := mustOpen(t, dir, Options{}).Signer("acme", ES256, now); err == nil {
		t.Errorf("%s signs with a key that is not its own", kid)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys", "acme.broken.key.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("half a file is not noticed")
	}
}

func encoded(t *testing.T, b []byte) string {
	t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
