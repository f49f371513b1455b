package main_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/provolt/provolt/internal/bench/binary"
	"github.com/provolt/provolt/schemas"
)

// maker is a manufacturer whose lines register batteries, and who keeps book
// of every answer.
type maker struct {
	registry *binary.Registry
	db       *sql.DB
	token    string
	client   *http.Client
	pins     map[string]any // of every item: model and batch
	item     map[string]any // the example's

	mu           sync.Mutex
	made         int
	acknowledged map[string]receipt // by serial
	doubtful     []order            // no answer came
	checked      map[string]bool    // serials whose passport was found genuine
}

// order is one registration. Sent again it is the same, key included.
type order struct {
	serial string
	body   []byte
}

// receipt is what was acknowledged.
type receipt struct {
	PassportID string `json:"passportId"`
	Version    int    `json:"version"`
	Token      string `json:"token"`
	Records    []struct {
		Type     string `json:"type"`
		RecordID string `json:"recordId"`
	} `json:"records"`
	replayed bool // of a registration that had been stored before
}

// bare is the digest of the signed bytes without what they disclose.
func (r receipt) bare() [sha256.Size]byte {
	jws, _, _ := strings.Cut(r.Token, "~")
	return sha256.Sum256([]byte(jws + "~"))
}

// lines is how many registrations are under way at once.
const lines = 8

func newMaker(t *testing.T, registry *binary.Registry, db *sql.DB) *maker {
	t.Helper()
	registry.Admit(t, "nordlicht")
	return &maker{
		registry: registry, db: db, token: registry.Token(t, "nordlicht"),
		client:       &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: lines}},
		acknowledged: map[string]receipt{}, checked: map[string]bool{},
	}
}

// registerModel registers the first battery with its model and batch, which
// all others pin.
func (m *maker) registerModel(t *testing.T, server *binary.Server) {
	t.Helper()
	raw, err := schemas.FS.ReadFile("examples/ev.json")
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]map[string]any
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	m.item = document["passport"]
	serial := m.item["serialNumber"].(string)
	answer, err := m.register(server, order{serial, raw})
	if err != nil {
		t.Fatal(err)
	}
	m.acknowledged[serial], m.pins = answer, map[string]any{}
	for _, r := range answer.Records {
		if r.Type != "passport" {
			m.pins[r.Type] = map[string]string{"recordId": r.RecordID}
		}
	}
}

// next is a battery nobody has registered.
func (m *maker) next() order {
	m.mu.Lock()
	m.made++
	serial := fmt.Sprintf("AB4F7K3%06d", m.made)
	m.mu.Unlock()
	item := maps.Clone(m.item)
	item["serialNumber"] = serial
	item["batteryId"] = binary.BaseURL + "/01/09506000134376/21/" + serial
	body, err := json.Marshal(map[string]any{"passport": item, "model": m.pins["model"], "batch": m.pins["batch"]})
	if err != nil {
		panic(err) // it came from JSON
	}
	return order{serial, body}
}

// work lets every line register one battery after the other until the server
// is gone.
func (m *maker) work(t *testing.T, server *binary.Server) *sync.WaitGroup {
	t.Helper()
	var all sync.WaitGroup
	for range lines {
		all.Go(func() {
			for {
				o := m.next()
				answer, err := m.register(server, o)
				if refused := (*refusal)(nil); errors.As(err, &refused) {
					t.Errorf("%s: %v", o.serial, refused)
					return
				}
				m.book(o, answer, err)
				if err != nil {
					return
				}
			}
		})
	}
	return &all
}

func (m *maker) book(o order, answer receipt, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.doubtful = append(m.doubtful, o)
		return
	}
	m.acknowledged[o.serial] = answer
}

// settle sends every registration without an answer again, under its key, and
// returns how many had been stored.
func (m *maker) settle(t *testing.T, server *binary.Server) (stored int) {
	t.Helper()
	for _, o := range m.doubtful {
		answer, err := m.register(server, o)
		if err != nil {
			t.Errorf("%s again: %v", o.serial, err)
			continue
		}
		if answer.replayed {
			stored++
		}
		if again, err := m.register(server, o); err != nil || again.PassportID != answer.PassportID || !again.replayed {
			t.Errorf("%s a third time: passport %s, %v; want %s replayed", o.serial, again.PassportID, err, answer.PassportID)
		}
		m.acknowledged[o.serial] = answer
	}
	m.doubtful = nil
	return stored
}

// refusal is an answer that no registration here should get.
type refusal struct {
	status int
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("answered %d: %s", r.status, r.body) }

// register sends the order. An error other than a refusal means that no
// answer came.
func (m *maker) register(server *binary.Server, o order) (receipt, error) {
	request, err := http.NewRequest(http.MethodPost, server.URL+"/v1/passports", bytes.NewReader(o.body)) //nolint:noctx // the client has a time limit
	if err != nil {
		return receipt{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", "line-"+o.serial)
	body, header, err := m.do(request, http.StatusCreated)
	if err != nil {
		return receipt{}, err
	}
	var answer receipt
	if err := json.Unmarshal(body, &answer); err != nil || answer.PassportID == "" || answer.Token == "" {
		return receipt{}, &refusal{http.StatusCreated, string(body)}
	}
	answer.replayed = header.Get("Idempotent-Replayed") == "true"
	return answer, nil
}

// do sends a request as the maker and wants the status.
func (m *maker) do(request *http.Request, want int) ([]byte, http.Header, error) {
	request.Header.Set("Authorization", "Bearer "+m.token)
	response, err := m.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	switch {
	case err != nil:
		return nil, nil, err
	case response.StatusCode != want:
		return nil, nil, &refusal{response.StatusCode, string(body)}
	}
	return body, response.Header, nil
}

// get fetches what the registry serves to the maker.
func (m *maker) get(server *binary.Server, path, accept string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, server.URL+path, http.NoBody) //nolint:noctx // the client has a time limit
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("Purpose", "stock-taking")
	body, _, err := m.do(request, http.StatusOK)
	return body, err
}
