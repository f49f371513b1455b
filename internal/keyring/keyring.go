// Package keyring keeps the private keys the registry signs with, so that
// callers need not know where a key lies, how it is encrypted or which of
// several keys of an organisation signs today. It keeps private keys only; the
// history of public keys is the store's.
//
// A key is a file of its own in DIR/keys, mode 0600, written to a temporary
// file, synced and renamed: after a crash a key is there whole or not at all.
// With a passphrase the private part is encrypted with age to an identity of
// this keyring, and the identity with the passphrase (scrypt), so that opening
// costs one slow derivation however many keys there are.
package keyring

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/provolt/provolt/internal/passport"
)

// Errors a Keyring returns, wrapped.
var (
	// ErrNoKey means the owner has no key that signs at that time.
	ErrNoKey = errors.New("no usable key")
	// ErrPassphrase means the passphrase is missing or not the one the keyring
	// was made with.
	ErrPassphrase = errors.New("wrong or missing passphrase")
	// ErrExposed means key files are readable to others, or not encrypted in
	// production.
	ErrExposed = errors.New("key file is not protected")
)

// The algorithms of Create and Signer.
const (
	ES256   = "ES256"   // ECDSA on P-256; signs credentials and lists
	Ed25519 = "Ed25519" // signs Data Integrity proofs
)

// Options say how key files are protected. The zero value keeps them plain,
// which only a demo may.
type Options struct {
	Passphrase []byte // encrypts every key file; required in production; nil: none, empty: refused
	Production bool   // refuse plain key files and any mode but 0600 and 0700

	workFactor int // of scrypt, log2; 0 is age's own. Lower in this package's tests only.
}

// Public is what others may know of a key.
type Public struct {
	ID        string // DID URL: DID#FRAGMENT
	Algorithm string
	PublicKey []byte    // PKIX, ASN.1 DER
	NotBefore time.Time // first use; publish it earlier
}

// Keyring is an open directory of keys. It is safe for concurrent use, also
// with other processes that use the same directory.
type Keyring struct {
	dir      string
	options  Options
	identity *age.X25519Identity // nil without a passphrase

	mu      sync.Mutex
	scanned time.Time // modification time of dir when entries was read
	entries []entry
	signers map[string]crypto.Signer // by key id, decrypted on first use
}

// entry is a key file. What is not secret stands in the clear, so that a
// keyring opens without decrypting anything. Exactly one of PKCS8 and Age is
// set.
type entry struct {
	ID        string         `json:"kid"`
	Owner     passport.OrgID `json:"owner"`
	Algorithm string         `json:"algorithm"`
	PublicKey []byte         `json:"publicKey"` // PKIX, ASN.1 DER
	CreatedAt time.Time      `json:"createdAt"`
	NotBefore time.Time      `json:"notBefore"`
	RetiredAt time.Time      `json:"retiredAt,omitzero"`
	PKCS8     []byte         `json:"pkcs8,omitempty"` // plain private key
	Age       string         `json:"age,omitempty"`   // the same, encrypted, in armor
}

const (
	keySuffix    = ".key.json"
	secretSuffix = ".secret"
	identityFile = "identity.age"
	fileMode     = 0o600
	dirMode      = 0o700
)

// Open opens DIR/keys, creating it if needed. It returns ErrPassphrase or
// ErrExposed, wrapped, when the keys may not be used as they lie there.
func Open(dir string, o Options) (*Keyring, error) {
	k := &Keyring{dir: filepath.Join(dir, "keys"), options: o, signers: map[string]crypto.Signer{}}
	if err := os.MkdirAll(k.dir, dirMode); err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	if o.Passphrase != nil && len(o.Passphrase) == 0 {
		return nil, fmt.Errorf("open keyring %s: the passphrase file is empty: %w", k.dir, ErrPassphrase)
	}
	if o.Production && len(o.Passphrase) == 0 {
		return nil, fmt.Errorf("open keyring %s: production keeps no plain keys: %w", k.dir, ErrPassphrase)
	}
	if err := k.checkModes(); err != nil {
		return nil, err
	}
	if err := k.unlock(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k, k.scan()
}

// unlock reads the keyring's identity with the passphrase, or makes one.
func (k *Keyring) unlock() error {
	name := filepath.Join(k.dir, identityFile)
	sealed, err := os.ReadFile(name) //nolint:gosec // our own directory
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(k.options.Passphrase) == 0:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return k.makeIdentity(name)
	case err != nil:
		return fmt.Errorf("read %s: %w", name, err)
	case len(k.options.Passphrase) == 0:
		return fmt.Errorf("open keyring %s: it is encrypted: %w", k.dir, ErrPassphrase)
	}
	passphrase, err := age.NewScryptIdentity(string(k.options.Passphrase))
	if err != nil {
		return fmt.Errorf("open keyring %s: %w", k.dir, err)
	}
	text, err := decrypt(sealed, passphrase)
	if err != nil {
		return fmt.Errorf("open keyring %s: %w", k.dir, ErrPassphrase)
	}
	k.identity, err = age.ParseX25519Identity(string(text))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// makeIdentity makes the identity of a new keyring. Beside anything that was
// sealed to an identity that is gone, a new one would hide the loss.
func (k *Keyring) makeIdentity(name string) error {
	sealed, err := k.holdsSealed()
	if err != nil {
		return err
	}
	if sealed {
		if _, err := os.Stat(name); err == nil { // another process made it, and a key, since we looked
			return k.unlock()
		}
		return fmt.Errorf("open keyring %s: %s is missing: restore it from the backup; the keys cannot be opened without it", k.dir, identityFile)
	}
	return k.newIdentity(name)
}

// holdsSealed reports whether a key or secret is encrypted to an identity.
func (k *Keyring) holdsSealed() (bool, error) {
	names, err := os.ReadDir(k.dir)
	if err != nil {
		return false, fmt.Errorf("read keyring: %w", err)
	}
	for _, d := range names {
		if !strings.HasSuffix(d.Name(), keySuffix) && !strings.HasSuffix(d.Name(), secretSuffix) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(k.dir, d.Name()))
		if err != nil {
			return false, fmt.Errorf("read keyring: %w", err)
		}
		if bytes.Contains(text, []byte(armor.Header)) { // a secret is armor, a key holds it as a text
			return true, nil
		}
	}
	return false, nil
}

func (k *Keyring) newIdentity(name string) error {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("make keyring identity: %w", err)
	}
	passphrase, err := age.NewScryptRecipient(string(k.options.Passphrase))
	if err != nil {
		return fmt.Errorf("make keyring identity: %w", err)
	}
	if k.options.workFactor > 0 {
		passphrase.SetWorkFactor(k.options.workFactor)
	}
	sealed, err := encrypt([]byte(identity.String()), passphrase)
	if err != nil {
		return fmt.Errorf("make keyring identity: %w", err)
	}
	if err := k.write(name, sealed, false); err != nil {
		if errors.Is(err, fs.ErrExist) { // another process was faster; take its identity
			return k.unlock()
		}
		return err
	}
	k.identity = identity
	return nil
}

// checkModes refuses, in production, files that others can read.
func (k *Keyring) checkModes() error {
	if !k.options.Production {
		return nil
	}
	return filepath.WalkDir(k.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("check modes: %w", err)
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("check modes: %w", err)
		}
		want := fs.FileMode(fileMode)
		if d.IsDir() {
			want = dirMode
		}
		if info.Mode().Perm() != want || info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s has mode %v, expected %v: %w", name, info.Mode(), want, ErrExposed)
		}
		return nil
	})
}

// Create makes a key for an organisation and keeps its private part. The key
// id is the DID with a fragment of the day and a digest of the key. It signs
// from notBefore on; publish what is returned well before.
func (k *Keyring) Create(owner passport.OrgID, alg string, did string, at, notBefore time.Time) (Public, error) {
	if _, err := passport.ParseOrgID(string(owner)); err != nil {
		return Public{}, fmt.Errorf("create key: %w", err)
	}
	if !strings.HasPrefix(did, "did:web:") || strings.ContainsAny(did, "#?/ ") {
		return Public{}, fmt.Errorf("create key for %s: %.80q is no did:web", owner, did)
	}
	private, err := generate(alg)
	if err != nil {
		return Public{}, fmt.Errorf("create key for %s: %w", owner, err)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return Public{}, fmt.Errorf("create key for %s: %w", owner, err)
	}
	sum := sha256.Sum256(public)
	const digits = 8 // bytes of the digest; two keys of a day never meet
	fragment := fmt.Sprintf("k-%s-%s", notBefore.UTC().Format("20060102"), hex.EncodeToString(sum[:digits]))
	e := entry{
		ID: did + "#" + fragment, Owner: owner, Algorithm: alg, PublicKey: public,
		CreatedAt: at.UTC(), NotBefore: notBefore.UTC(),
	}
	if err := k.seal(&e, private); err != nil {
		return Public{}, fmt.Errorf("create key %s: %w", e.ID, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.save(e, false); err != nil {
		return Public{}, err
	}
	return Public{ID: e.ID, Algorithm: alg, PublicKey: public, NotBefore: e.NotBefore}, nil
}

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case Ed25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("unknown algorithm %.40q", alg)
}

// Signer returns the key that signs for the owner at that time: the one with
// the latest NotBefore that has begun and is not retired. It returns ErrNoKey,
// wrapped, if there is none.
func (k *Keyring) Signer(owner passport.OrgID, alg string, at time.Time) (kid string, s crypto.Signer, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.refresh(); err != nil {
		return "", nil, err
	}
	e := k.newest(owner, alg, at)
	if e == nil { // another process may have made one within the resolution of the file system's clock
		if err := k.scan(); err != nil {
			return "", nil, err
		}
		e = k.newest(owner, alg, at)
	}
	if e == nil {
		return "", nil, fmt.Errorf("%s key of %s at %s: %w", alg, owner, at.UTC().Format(time.RFC3339), ErrNoKey)
	}
	s, err = k.signer(*e)
	return e.ID, s, err
}

func (k *Keyring) newest(owner passport.OrgID, alg string, at time.Time) *entry {
	var newest *entry
	for i := range k.entries {
		e := &k.entries[i]
		usable := e.Owner == owner && e.Algorithm == alg && !at.Before(e.NotBefore) && (e.RetiredAt.IsZero() || at.Before(e.RetiredAt))
		if usable && (newest == nil || compare(*e, *newest) > 0) {
			newest = e
		}
	}
	return newest
}

// compare orders keys by age; the id decides between equals, so that every
// process picks the same.
func compare(a, b entry) int {
	return cmp.Or(a.NotBefore.Compare(b.NotBefore), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

// Retire ends the use of a key at that time. Its file stays. A key that was
// retired before keeps the earlier time.
func (k *Keyring) Retire(kid string, at time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.refresh(); err != nil {
		return err
	}
	i := slices.IndexFunc(k.entries, func(e entry) bool { return e.ID == kid })
	if i < 0 {
		return fmt.Errorf("retire %.80q: %w", kid, ErrNoKey)
	}
	e := k.entries[i]
	if !e.RetiredAt.IsZero() && !at.Before(e.RetiredAt) {
		return nil
	}
	e.RetiredAt = at.UTC()
	return k.save(e, true)
}

var secretName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$`)

// Secret returns the 32 random bytes of that name (1 to 64 of a-z, 0-9 and -),
// made on first use and then always the same. They are protected as keys are.
func (k *Keyring) Secret(name string) ([]byte, error) {
	if !secretName.MatchString(name) {
		return nil, fmt.Errorf("secret %.80q: not 1 to 64 of a-z, 0-9 and -", name)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	path := filepath.Join(k.dir, name+secretSuffix)
	secret, err := k.readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	secret = make([]byte, sha256.Size)
	if _, err := io.ReadFull(rand.Reader, secret); err != nil {
		return nil, fmt.Errorf("make secret %s: %w", name, err)
	}
	text := []byte(hex.EncodeToString(secret))
	if k.identity != nil {
		if text, err = encrypt(text, k.identity.Recipient()); err != nil {
			return nil, fmt.Errorf("make secret %s: %w", name, err)
		}
	}
	err = k.write(path, text, false)
	if errors.Is(err, fs.ErrExist) { // another process was faster; its secret counts
		return k.readSecret(path)
	}
	if err != nil {
		return nil, err
	}
	return secret, nil
}

func (k *Keyring) readSecret(path string) ([]byte, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the name was checked
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	switch sealed := bytes.HasPrefix(text, []byte(armor.Header)); {
	case sealed && k.identity == nil:
		return nil, fmt.Errorf("read %s: %w", path, ErrPassphrase)
	case sealed:
		if text, err = decrypt(text, k.identity); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	case k.options.Production:
		return nil, fmt.Errorf("%s is not encrypted: %w", path, ErrExposed)
	}
	secret, err := hex.DecodeString(string(text))
	if err != nil || len(secret) != sha256.Size {
		return nil, fmt.Errorf("read %s: not a secret of this keyring", path)
	}
	return secret, nil
}

// seal puts the private key into the entry.
func (k *Keyring) seal(e *entry, private crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	if k.identity == nil {
		e.PKCS8 = der
		return nil
	}
	sealed, err := encrypt(der, k.identity.Recipient())
	e.Age = string(sealed)
	return err
}

// signer opens an entry, once.
func (k *Keyring) signer(e entry) (crypto.Signer, error) {
	if s := k.signers[e.ID]; s != nil {
		return s, nil
	}
	der := e.PKCS8
	if e.Age != "" {
		if k.identity == nil {
			return nil, fmt.Errorf("open key %s: %w", e.ID, ErrPassphrase)
		}
		var err error
		if der, err = decrypt([]byte(e.Age), k.identity); err != nil {
			return nil, fmt.Errorf("open key %s: %w", e.ID, err)
		}
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", e.ID, err)
	}
	s, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("open key %s: it does not sign", e.ID)
	}
	public, err := x509.MarshalPKIXPublicKey(s.Public())
	if err != nil || !bytes.Equal(public, e.PublicKey) {
		return nil, fmt.Errorf("open key %s: private and public part do not belong together", e.ID)
	}
	k.signers[e.ID] = s
	return s, nil
}

// refresh reads the directory again if another process changed it.
func (k *Keyring) refresh() error {
	info, err := os.Stat(k.dir)
	if err != nil {
		return fmt.Errorf("read keyring: %w", err)
	}
	if info.ModTime().Equal(k.scanned) {
		return nil
	}
	return k.scan()
}

func (k *Keyring) scan() error {
	info, err := os.Stat(k.dir)
	if err != nil {
		return fmt.Errorf("read keyring: %w", err)
	}
	names, err := filepath.Glob(filepath.Join(k.dir, "*"+keySuffix))
	if err != nil {
		return fmt.Errorf("read keyring: %w", err)
	}
	entries := make([]entry, 0, len(names))
	for _, name := range names {
		e, err := k.load(name)
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	k.entries, k.scanned = entries, info.ModTime()
	return nil
}

func (k *Keyring) load(name string) (entry, error) {
	text, err := os.ReadFile(name) //nolint:gosec // our own directory
	if err != nil {
		return entry{}, fmt.Errorf("read key: %w", err)
	}
	var e entry
	if err := json.Unmarshal(text, &e); err != nil {
		return entry{}, fmt.Errorf("read %s: %w", name, err)
	}
	if e.Age == "" && k.options.Production {
		return entry{}, fmt.Errorf("%s is not encrypted: %w", name, ErrExposed)
	}
	return e, nil
}

// save writes the entry's file and reads the directory again.
func (k *Keyring) save(e entry, replace bool) error {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("encode key %s: %w", e.ID, err)
	}
	_, fragment, _ := strings.Cut(e.ID, "#")
	if err := k.write(filepath.Join(k.dir, string(e.Owner)+"."+fragment+keySuffix), text, replace); err != nil {
		return err
	}
	return k.scan()
}

// write makes a file durable under its name. Without replace it fails with
// fs.ErrExist if the name is taken, whoever took it.
func (k *Keyring) write(name string, content []byte, replace bool) error {
	temp, err := os.CreateTemp(k.dir, ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer os.Remove(temp.Name()) // gone already if it was renamed
	_, err = temp.Write(content)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	put := os.Link
	if replace {
		put = os.Rename
	}
	if err := put(temp.Name(), name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return syncDir(k.dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // our own directory
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

func encrypt(plain []byte, to age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, to)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(plain)
	if err := errors.Join(err, w.Close(), armored.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func decrypt(sealed []byte, with age.Identity) ([]byte, error) {
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(sealed)), with)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
