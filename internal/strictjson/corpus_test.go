package strictjson

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/provolt/provolt/internal/passport"
)

// corpusCase is one line of testdata/corpus.txt.
type corpusCase struct {
	name, verdict string
	body          []byte
}

func corpus(t testing.TB) []corpusCase {
	t.Helper()
	b, err := os.ReadFile("testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	var cases []corpusCase
	names := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 4 || fields[3] == "" || names[fields[0]] {
			t.Fatalf("line %q has no name of its own, verdict, body and reason", line)
		}
		body, err := strconv.Unquote(fields[2])
		if err != nil {
			t.Fatalf("%s: %v", fields[0], err)
		}
		names[fields[0]] = true
		cases = append(cases, corpusCase{fields[0], fields[1], []byte(body)})
	}
	return cases
}

// verdict says in the words of the corpus what Parse made of a body.
func verdict(err error) string {
	var syntax *SyntaxError
	var rejected *Rejected
	var large *TooLarge
	switch {
	case err == nil:
		return "accept"
	case errors.As(err, &syntax):
		return syntax.Code
	case errors.As(err, &rejected):
		codes := make([]string, len(rejected.Violations))
		for i, v := range rejected.Violations {
			codes[i] = v.Code
		}
		return strings.Join(codes, " ")
	case errors.As(err, &large):
		return "tooLarge"
	}
	return err.Error()
}

func TestEveryCaseOfTheCorpusHasItsVerdict(t *testing.T) {
	count := map[string]int{}
	for _, c := range corpus(t) {
		t.Run(c.name, func(t *testing.T) {
			tree, err := Parse(c.body)
			if got := verdict(err); got != c.verdict {
				t.Fatalf("Parse(%.100q): %s, want %s (%v)", c.body, got, c.verdict, err)
			}
			if err != nil && tree != nil {
				t.Errorf("a refused body gives the tree %v", tree)
			}
			kind := c.name[:2]
			count[kind]++
			valid := json.Valid(c.body)
			if kind == "y_" && !valid || kind == "n_" && valid {
				t.Errorf("encoding/json takes it for JSON: %v", valid)
			}
			if kind == "n_" && c.verdict != "json.syntax" {
				t.Errorf("a text that is no JSON has the verdict %s", c.verdict)
			}
			checkMessages(t, err)
		})
	}
	if count["y_"] < 60 || count["n_"] < 100 || count["i_"] < 60 {
		t.Errorf("the corpus has shrunk to %v", count)
	}
}

// checkMessages fails the test unless everything said about a body is complete
// and can be printed.
func checkMessages(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	texts := []string{err.Error()}
	if rejected, ok := errors.AsType[*Rejected](err); ok {
		for _, v := range rejected.Violations {
			if v.Code == "" || v.Severity != passport.Blocking || v.Expected == "" || v.Found == "" {
				t.Errorf("violation %+v is not complete", v)
			}
			texts = append(texts, v.Expected, v.Found, v.Repair)
		}
	}
	for _, text := range texts {
		for _, r := range text {
			if r < ' ' || r > '~' {
				t.Errorf("%q holds %U", text, r)
			}
		}
	}
}
