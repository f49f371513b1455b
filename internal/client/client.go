// Package client speaks to a registry over HTTP, so that a command need not
// know which evidence a verifier wants or where a registry keeps it. It never
// follows a link to another host: evidence comes from the registry that the
// caller chose to trust.
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/provolt/provolt/internal/credential"
	"github.com/provolt/provolt/internal/verify"
)

// Client asks one registry. The zero Token is the anonymous public.
type Client struct {
	Base  string // without trailing slash
	Token string // access token
	HTTP  *http.Client
}

// maxAnswer is the most that is read of any answer: a trust bundle, with room. A
// longer one is none, since half a list would be a wrong one.
const maxAnswer = credential.MaxBundle + 1<<20

// ErrUnreachable means that the registry gave no usable answer.
var ErrUnreachable = errors.New("registry gave no answer")

// New returns a client of the registry at base.
func New(base string) *Client {
	c := &Client{Base: strings.TrimSuffix(base, "/")}
	c.HTTP = &http.Client{Timeout: 20 * time.Second, CheckRedirect: stayAt}
	return c
}

// stayAt follows redirects within the host that was asked, and never from
// https to http: an access token and the caller's trust are meant for it alone.
func stayAt(req *http.Request, via []*http.Request) error {
	const most = 5
	asked := via[0].URL
	if len(via) > most || req.URL.Host != asked.Host || asked.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirected to %s://%s", req.URL.Scheme, req.URL.Host)
	}
	return nil
}

// Get fetches an address as the one media type that is wanted; any other answer
// is none.
func (c *Client) Get(ctx context.Context, address, mediaType string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	req.Header.Set("Accept", mediaType)
	resp, body, err := c.do(req) //nolint:bodyclose // do closes it
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask %s: status %d: %w", address, resp.StatusCode, ErrUnreachable)
	}
	if got, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); got != mediaType {
		return nil, fmt.Errorf("ask %s: %s and not %s: %w", address, got, mediaType, ErrUnreachable)
	}
	return body, nil
}

// Post sends JSON and returns whatever is answered.
func (c *Client) Post(ctx context.Context, path string, body []byte, key string) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("send to %s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, answer, err := c.do(req) //nolint:bodyclose // do closes it
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, answer, nil
}

// do sends a request and reads the whole answer.
func (c *Client) do(req *http.Request) (*http.Response, []byte, error) {
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return resp, body, nil
}

// Trust fetches whom the registry admits and checks its signature with the
// keys in the registry's own DID document.
func (c *Client) Trust(ctx context.Context) (verify.Trust, error) {
	document, err := c.Get(ctx, c.Base+"/.well-known/did.json", "application/did+json")
	if err != nil {
		return verify.Trust{}, err
	}
	_, keys, err := credential.ParseDIDDocument(document)
	if err != nil {
		return verify.Trust{}, fmt.Errorf("read %s/.well-known/did.json: %w", c.Base, err)
	}
	bundle, err := c.Get(ctx, c.Base+"/v1/trust", "application/jwt")
	if err != nil {
		return verify.Trust{}, err
	}
	return credential.ParseBundle(bundle, keys)
}

// Evidence fetches the status list and pinned records that a token names, as
// far as they are the trusted registry's. What cannot be fetched is left out:
// the verifier then says that it could not check.
func (c *Client) Evidence(ctx context.Context, token []byte, t verify.Trust, at time.Time) verify.Evidence {
	ev := verify.Evidence{Lists: map[string][]byte{}, Records: map[string][]byte{}, FetchedAt: at}
	envelope := verify.Check(token, ev, t, at).Envelope
	if envelope == nil {
		return ev
	}
	for _, pin := range envelope.Pins {
		address := credential.RecordURL(t.BaseURL, pin.RecordID)
		if body, err := c.Get(ctx, c.here(t, address), "application/vc+sd-jwt"); err == nil {
			ev.Records[address] = body
		}
	}
	if envelope.Status != nil {
		address := credential.TokenStatusURL(t.BaseURL, envelope.Status.List)
		if body, err := c.Get(ctx, c.here(t, address), "application/statuslist+jwt"); err == nil {
			ev.Lists[address] = body
		}
	}
	return ev
}

// here turns an address at the registry's base URL into one at the address
// where this client reaches it.
func (c *Client) here(t verify.Trust, address string) string {
	return c.Base + strings.TrimPrefix(address, t.BaseURL)
}
