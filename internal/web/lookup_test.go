package web

import (
	"bytes"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/provolt/provolt/internal/carrier"
	"github.com/provolt/provolt/internal/passport"
)

// arrives checks that a look-up leads straight to a page.
func arrives(t *testing.T, a answer, path string) {
	t.Helper()
	if a.Code != http.StatusSeeOther || a.Header().Get("Location") != path {
		t.Errorf("status %d, Location %q; want 303 to %s", a.Code, a.Header().Get("Location"), path)
	}
}

// stays checks that the form is shown again with these words.
func stays(t *testing.T, a answer, status int, words ...string) {
	t.Helper()
	if a.Code != status {
		t.Errorf("status %d, want %d", a.Code, status)
	}
	contains(t, a.body, words...)
	contains(t, a.body, `<form class="card" method="post"`)
}

func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "/look-up?" + q.Encode()
}

func TestWhatPeopleHoldLeadsToThePassport(t *testing.T) {
	w := newWorld(t)
	id := w.register(example(t)).String()
	for name, target := range map[string]string{
		"typed":                  query("gtin", "09506000134376", "serial", "AB4F7K2900001"),
		"typed as the label":     query("gtin", "9506 0001 34376", "serial", " AB4F 7K29 0000 1 "),
		"our link":               query("link", base+"/01/09506000134376/21/AB4F7K2900001"),
		"our link with a query":  query("link", base+"/01/09506000134376/21/AB4F7K2900001?linkType=gs1:dpp"),
		"a page of ours":         query("link", base+"/p/"+id+"?lang=de"),
		"passport id":            query("link", id),
		"passport URN":           query("link", "urn:uuid:"+id),
		"text below a bar code":  query("link", "(01)09506000134376(21)AB4F7K2900001"),
		"what a scanner reports": query("link", "]d2\x1d010950600013437621AB4F7K2900001"),
		"scanner, with a batch":  query("link", "010950600013437610NL2\x1d21AB4F7K2900001"),
	} {
		t.Run(name, func(t *testing.T) { arrives(t, w.get(target), "/p/"+id) })
	}
	arrives(t, w.get(query("link", id, "lang", "de")), "/p/"+id+"?lang=de")
	arrives(t, w.get("/not-registered/01/09506000134376/21/AB4F7K2900001"), "/p/"+id)
}

func TestAForeignHostIsShownAndNeverFollowed(t *testing.T) {
	w := newWorld(t)
	id := w.register(example(t)).String()
	a := w.get(query("link", "https://evil.example/x/01/09506000134376/21/AB4F7K2900001"))
	stays(t, a, http.StatusOK, "Registered here", "<code>evil.example</code>", `href="/p/`+id+`"`)
	lacks(t, a.body, `href="https://evil.example`)
	a = w.get(query("link", "https://evil.example/01/09506000134376/21/OTHER"))
	stays(t, a, http.StatusNotFound, "Not registered here", "<code>evil.example</code>")
}

func TestWhatCannotBeLookedUpIsExplainedInTheFilledForm(t *testing.T) {
	w := newWorld(t)
	w.register(example(t))
	for name, c := range map[string]struct {
		target string
		status int
		words  []string
	}{
		"no GTIN":              {query("gtin", "12ab", "serial", "S1"), 422, []string{"This is no GTIN", `value="12ab"`, `value="S1"`, `aria-invalid="true"`}},
		"wrong check digit":    {query("gtin", "09506000134377", "serial", "S1"), 422, []string{"A digit of the GTIN is wrong"}},
		"impossible serial":    {query("gtin", "09506000134376", "serial", "§§"), 422, []string{"This cannot be a serial number"}},
		"serial too long":      {query("gtin", "09506000134376", "serial", strings.Repeat("X", 21)), 422, []string{"This cannot be a serial number"}},
		"no serial":            {query("gtin", "09506000134376"), 200, []string{"Which battery?", `value="09506000134376"`}},
		"model link":           {query("link", base+"/01/09506000134376"), 200, []string{"Which battery?"}},
		"batch link":           {query("link", base+"/01/09506000134376/10/NL2"), 200, []string{"Which battery?"}},
		"unknown model":        {query("gtin", "09506000134352"), 404, []string{"Unknown model"}},
		"battery of no model":  {query("gtin", "09506000134352", "serial", "S1"), 404, []string{"Not registered here"}},
		"unknown passport":     {query("link", "01a4a10b-0bc0-7ab6-ae14-553caf884afc"), 404, []string{"Not registered here"}},
		"unknown URN":          {query("link", "urn:example:b1"), 404, []string{"Not registered here"}},
		"another kind of link": {query("link", "https://shop.example/"), 422, []string{"This is no battery code", `value="https://shop.example/"`}},
		"script":               {query("link", "javascript:alert(1)"), 422, []string{"This is no battery code"}},
		"markup":               {query("link", `"><script>alert(1)</script>`), 422, []string{"This is no battery code", "&#34;&gt;&lt;script&gt;"}},
		"control characters":   {query("link", "urn:example:a\nb"), 422, []string{"This is no battery code"}},
		"broken UTF-8":         {"/look-up?link=%ff%fe", 200, nil},
		"endless":              {query("link", "urn:example:"+strings.Repeat("a", 3000)), 200, nil},
		"nothing":              {"/look-up", 200, []string{"Look up a battery"}},
	} {
		t.Run(name, func(t *testing.T) { stays(t, w.get(c.target), c.status, c.words...) })
	}
}

func TestAnUnknownSerialOfAKnownModelIsSaidToBeUnregistered(t *testing.T) {
	w := newWorld(t)
	w.register(example(t))
	arrives(t, w.get(query("gtin", "09506000134376", "serial", "A/B")), "/not-registered/01/09506000134376/21/A%2FB")
	a := w.get("/not-registered/01/09506000134376/21/A%2FB")
	if a.Code != http.StatusNotFound {
		t.Errorf("status %d", a.Code)
	}
	inOrder(t, a.body, "TEST — not a real passport", `class="verdict notRegistered"`, "Not registered", "This registry knows the model", "Looked up at 14:02",
		"09506000134376", "<span>A/B</span>", "Nordlicht Zellwerk GmbH", "passport@nordlicht.example", "/look-up?gtin=09506000134376")
	unknown := w.get("/not-registered/01/09506000134352/21/S1")
	contains(t, unknown.body, "This registry knows neither this battery nor its model.")
	if bad := w.get("/not-registered/01/1/21/S1"); bad.Code != http.StatusNotFound || !strings.Contains(bad.body, "Nothing here") {
		t.Errorf("malformed link: status %d", bad.Code)
	}
}

// upload posts a file as the photo form does.
func (w *world) upload(t *testing.T, field string, content []byte) answer {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part := need(form.CreateFormFile(field, "photo.png"))(t)
	need(part.Write(content))(t)
	must(t, form.Close())
	return w.do(http.MethodPost, "/look-up", &body, "Content-Type", form.FormDataContentType())
}

func TestAPhotoLeadsToThePassportOrIsExplained(t *testing.T) {
	w := newWorld(t)
	id := w.register(example(t)).String()
	arrives(t, w.upload(t, "photo", photoOf(t, base+"/01/09506000134376/21/AB4F7K2900001")), "/p/"+id)
	stays(t, w.upload(t, "photo", photoOf(t, "https://evil.example/01/09506000134376/21/AB4F7K2900001")), 200, "<code>evil.example</code>", `href="/p/`+id+`"`)
	stays(t, w.upload(t, "photo", photoOf(t, "WIFI:S:home;;")), 422, "The code is not of a battery", `value="WIFI:S:home;;"`)
	stays(t, w.upload(t, "photo", blank(t)), 422, "No code found on the photo")
	stays(t, w.upload(t, "photo", []byte("GIF89a")), 422, "This is no photo we can read")
	stays(t, w.upload(t, "photo", nil), 422, "No photo arrived")
	stays(t, w.upload(t, "other", []byte("x")), 422, "No photo arrived")
	stays(t, w.upload(t, "photo", make([]byte, carrier.MaxPhotoBytes+1<<20)), 422, "The photo is too large")
	stays(t, w.do(http.MethodPost, "/look-up", strings.NewReader("x")), 422, "No photo arrived")
}

func TestTooManyPhotosAtOnceAreToldToComeAgain(t *testing.T) {
	w := newWorld(t)
	for range maxUploads {
		w.pages.uploads <- struct{}{}
	}
	a := w.upload(t, "photo", blank(t))
	if a.Code != http.StatusServiceUnavailable || a.Header().Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", a.Code, a.Header().Get("Retry-After"))
	}
	<-w.pages.uploads
	stays(t, w.upload(t, "photo", blank(t)), 422, "No code found on the photo")
}

func TestAPhotoMayTakeLongerThanOtherRequests(t *testing.T) {
	w := newWorld(t)
	w.now = later(w.now, time.Now())
	server := httptest.NewUnstartedServer(w.http)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	server.Start()
	t.Cleanup(server.Close)

	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	need(need(form.CreateFormFile("photo", "photo.png"))(t).Write(blank(t)))(t)
	must(t, form.Close())
	half := body.Len() / 2
	slow := io.MultiReader(bytes.NewReader(body.Bytes()[:half]), pause(500*time.Millisecond), bytes.NewReader(body.Bytes()[half:]))
	req := need(http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/look-up", slow))(t)
	req.Header.Set("Content-Type", form.FormDataContentType())
	res, err := server.Client().Do(req)
	must(t, err)
	defer func() { must(t, res.Body.Close()) }()
	page := need(io.ReadAll(res.Body))(t)
	if res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("status %d", res.StatusCode)
	}
	contains(t, string(page), "No code found on the photo")
}

// pause is a reader that has nothing to say, after a while.
type pause time.Duration

func (p pause) Read([]byte) (int, error) {
	time.Sleep(time.Duration(p))
	return 0, io.EOF
}

func blank(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, png.Encode(&out, image.NewGray(image.Rect(0, 0, 200, 200))))
	return out.Bytes()
}

func TestHostileTextInTheFormIsEchoedAsText(t *testing.T) {
	w := newWorld(t)
	for _, text := range attacks {
		for _, target := range []string{query("link", text), query("gtin", text, "serial", text), query("gtin", "09506000134376", "serial", text)} {
			a := w.get(target)
			if a.Code >= 500 {
				t.Errorf("%.60q: status %d", target, a.Code)
			}
			if a.body != "" {
				sound(t, a.body)
			}
		}
		if a := w.get("/not-registered/01/09506000134376/21/" + url.PathEscape(text)); a.Code >= 500 {
			t.Errorf("%.60q: status %d", text, a.Code)
		}
		if a := w.get("/p/" + url.PathEscape(text)); a.Code != http.StatusNotFound && a.Code != http.StatusMovedPermanently {
			t.Errorf("%.60q: status %d", text, a.Code)
		}
	}
}

func FuzzACodeIsUnderstoodOrRefused(f *testing.F) {
	for _, text := range append(attacks, "(01)09506000134376(21)A", "010950600013437621A", base+"/p/x", "urn:uuid:0192f5a0-7c31-7b62-9d1e-5a1b6d0f7a11", "https://id.example/8004/095060001") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := readCode(text, base)
		named := !s.Passport.IsZero() || s.Link.Level() != "" || !s.Battery.IsZero()
		if named == (err != nil) {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
		if s.Link != (passport.DigitalLink{}) {
			if _, err := passport.ParseDigitalLink(s.Link.Path()); err != nil {
				t.Errorf("%q: link %q is none: %v", text, s.Link.Path(), err)
			}
		}
	})
}
