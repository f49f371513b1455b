//go:build browser

package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// site is a world behind a real HTTP server, at its own base URL.
type site struct {
	*world
	url string
}

func newSite(t *testing.T) *site {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	address := "http://" + server.Listener.Addr().String()
	w := newWorldAt(t, address)
	server.Config.Handler = w.http
	server.Start()
	t.Cleanup(server.Close)
	return &site{world: w, url: address}
}

// tab is one browser tab that notes every request and console message.
type tab struct {
	context.Context
	t        *testing.T
	mu       sync.Mutex
	requests []string
	console  []string
}

// newTab starts a browser of its own, so that no test sees another's state.
func newTab(t *testing.T) *tab {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("no-pings", true),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	tb := &tab{Context: ctx, t: t}
	must(t, chromedp.Do(ctx))
	requests, messages := chromedp.Events(ctx, network.RequestWillBeSent), chromedp.Console(ctx)
	go func() {
		for ev, err := range requests {
			if err != nil {
				return
			}
			tb.note(&tb.requests, ev.Request.URL)
		}
	}()
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if !strings.Contains(m.URL, "/assets/") && strings.HasPrefix(m.Text, "Failed to load resource: the server responded with a status of 4") {
				continue // the browser's own note on a page that is an answer of that status
			}
			tb.note(&tb.console, m.URL+": "+m.String())
		}
	}()
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	must(t, err)
	return tb
}

func (tb *tab) note(to *[]string, s string) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	*to = append(*to, s)
}

// quiet checks that nothing was said on the console and nothing asked of any
// other server.
func (tb *tab) quiet(origin string) {
	tb.t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, url := range tb.requests {
		if !strings.HasPrefix(url, origin+"/") && !strings.HasPrefix(url, "data:") {
			tb.t.Errorf("request to %s", url)
		}
	}
	if len(tb.console) > 0 {
		tb.t.Errorf("console: %q", tb.console)
	}
	if len(tb.requests) == 0 {
		tb.t.Error("no request was seen: the watch does not work")
	}
}

func (tb *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	must(tb.t, chromedp.Do(tb, actions...))
}

// ask evaluates a script in the page.
func ask[T any](tb *tab, script string) T {
	tb.t.Helper()
	v, err := chromedp.Run(tb, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	must(tb.t, err)
	return v
}

// screen sets viewport and colour scheme.
func (tb *tab) screen(width int64, scheme string) {
	tb.t.Helper()
	height := int64(844)
	if width > 600 {
		height = 800
	}
	tb.do(chromedp.EmulateViewport(width, height))
	_, err := chromedp.Call(tb, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	must(tb.t, err)
}

// picture saves the whole page where PROVOLT_SCREENSHOTS says.
func (tb *tab) picture(name string) {
	tb.t.Helper()
	dir := os.Getenv("PROVOLT_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(tb, chromedp.FullScreenshot(100))
	must(tb.t, err)
	must(tb.t, os.MkdirAll(dir, 0o755))
	must(tb.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}

// unfold opens every folded part of the page.
func (tb *tab) unfold() {
	tb.t.Helper()
	ask[int](tb, `document.querySelectorAll('details').forEach(d => d.open = true), 1`)
}

// scenes are the pages every check below looks at, by name.
func (s *site) scenes() map[string]string {
	s.t.Helper()
	good := s.register(example(s.t))
	suspended := s.register(unknownOrigins(s.t, s.url))
	s.suspend(suspended, "cloneSuspected")
	return map[string]string{
		"passport":       "/p/" + good.String(),
		"suspended":      "/p/" + suspended.String(),
		"start":          "/",
		"mistyped":       "/look-up?gtin=09506000134377&serial=AB4F7K2900001",
		"foreign":        "/look-up?link=https://id.example.org/01/09506000134376/21/AB4F7K2900001",
		"not-registered": "/not-registered/01/09506000134376/21/UNKNOWN",
		"problem":        "/p/nothing",
	}
}

func TestPagesFitPhoneAndDeskWithoutNoiseOrForeignRequests(t *testing.T) {
	s := newSite(t)
	tb := newTab(t)
	for name, path := range s.scenes() {
		for _, width := range []int64{320, 390, 1280} {
			for scheme, lang := range map[string]string{"light": "en", "dark": "de"} {
				tb.screen(width, scheme)
				tb.do(chromedp.Navigate(s.url + inLang(path, lang)))
				if width != 320 {
					tb.picture(fmt.Sprintf("%s-%d-%s", name, width, scheme))
				}
				tb.unfold()
				if over := ask[int](tb, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
					t.Errorf("%s at %d px: %d px too wide", name, width, over)
				}
				if name == "passport" && scheme == "light" {
					tb.picture(fmt.Sprintf("%s-%d-unfolded", name, width))
				}
			}
		}
	}
	tb.quiet(s.url)
}

// small lists links and controls that a thumb misses: under 44 px high or
// wide, unless they stand in a line of text (WCAG 2.2, 2.5.8 exempts those).
const small = `[...document.querySelectorAll('a,button,input,summary')].filter(e => {
	const r = e.getBoundingClientRect();
	const inline = getComputedStyle(e).display === 'inline';
	return r.width > 0 && !inline && !e.classList.contains('skip') && (r.height < 44 || r.width < 44);
}).map(e => e.outerHTML.slice(0, 80) + ' ' + Math.round(e.getBoundingClientRect().height))`

func TestEveryControlIsLargeEnoughForAThumb(t *testing.T) {
	s := newSite(t)
	tb := newTab(t)
	for name, path := range s.scenes() {
		tb.screen(390, "light")
		tb.do(chromedp.Navigate(s.url + path))
		tb.unfold()
		for _, element := range ask[[]string](tb, small) {
			t.Errorf("%s: too small: %s", name, element)
		}
	}
}

func TestVerdictStandsInTheFirstLinesOfAPhone(t *testing.T) {
	s := newSite(t)
	id := s.register(example(t))
	tb := newTab(t)
	for _, lang := range []string{"en", "de"} {
		tb.screen(390, "light")
		tb.do(chromedp.Navigate(s.url + "/p/" + id.String() + "?lang=" + lang))
		if y := ask[float64](tb, `document.querySelector('h1').getBoundingClientRect().top`); y > 140 {
			t.Errorf("%s: verdict begins at %v px", lang, y)
		}
	}
}

// violation is a finding of axe-core.
type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

func TestPagesAreAccessible(t *testing.T) {
	axe, err := os.ReadFile(filepath.Join("..", "..", "tools", "browser", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("axe-core is missing; run: npm ci --prefix tools/browser: %v", err)
	}
	s := newSite(t)
	tb := newTab(t)
	for name, path := range s.scenes() {
		for _, lang := range []string{"en", "de"} {
			for _, scheme := range []string{"light", "dark"} {
				tb.screen(390, scheme)
				tb.do(chromedp.Navigate(s.url + inLang(path, lang)))
				tb.unfold()
				ask[int](tb, string(axe)+"\n;1")
				found := ask[string](tb, `axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations))`)
				var violations []violation
				must(t, json.Unmarshal([]byte(found), &violations))
				for _, v := range violations {
					t.Errorf("%s %s %s: %s (%s) %s\n  %s\n  %s", name, lang, scheme, v.ID, v.Impact, v.Help, v.Nodes[0].HTML, v.Nodes[0].Summary)
				}
			}
		}
	}
}

func TestEverythingIsThereWithoutJavaScript(t *testing.T) {
	s := newSite(t)
	id := s.register(example(t))
	tb := newTab(t)
	_, err := chromedp.Call(tb, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	must(t, err)
	tb.do(chromedp.Navigate(s.url + "/"))
	tb.do(chromedp.SendKeys(chromedp.ID("gtin"), "0950 6000 134376"), chromedp.SendKeys(chromedp.ID("serial"), "AB4F 7K29 00001"))
	_, err = chromedp.RunResponse(tb, chromedp.Submit(chromedp.ID("gtin")))
	must(t, err)
	text, err := chromedp.Run(tb, chromedp.TextContent(chromedp.CSS("main")))
	must(t, err)
	inOrder(t, text, "Genuine and in force", "Emergency card", "Origin of minerals", "Verify it yourself")
	where, err := chromedp.Run(tb, chromedp.Location())
	must(t, err)
	if where != s.url+"/p/"+id.String() {
		t.Errorf("arrived at %s", where)
	}
}

func TestPhotoOfACodeLeadsToItsPassport(t *testing.T) {
	s := newSite(t)
	id := s.register(example(t))
	file := filepath.Join(t.TempDir(), "photo.png")
	must(t, os.WriteFile(file, photoOf(t, s.url+"/01/09506000134376/21/AB4F7K2900001"), 0o600))
	s.now = later(s.now, time.Now())
	tb := newTab(t)
	tb.do(chromedp.Navigate(s.url+"/"), chromedp.SetUploadFiles(chromedp.ID("photo"), []string{file}))
	_, err := chromedp.RunResponse(tb, chromedp.Submit(chromedp.ID("photo")))
	must(t, err)
	where, err := chromedp.Run(tb, chromedp.Location())
	must(t, err)
	if where != s.url+"/p/"+id.String() {
		t.Errorf("arrived at %s", where)
	}
	tb.quiet(s.url)
}

func TestAPrintedPageShowsWhatWasFoldedAway(t *testing.T) {
	s := newSite(t)
	id := s.register(example(t))
	tb := newTab(t)
	tb.do(chromedp.Navigate(s.url + "/p/" + id.String()))
	_, err := chromedp.Call(tb, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	must(t, err)
	heights := ask[[]float64](tb, `[...document.querySelectorAll('details .rows')].map(e => e.getBoundingClientRect().height)`)
	if len(heights) == 0 || slices.Min(heights) == 0 {
		t.Errorf("folded on paper: %v", heights)
	}
}
