package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pairs makes a figure's pairs from rates of ours and of the baseline.
func pairs(rates ...[2]float64) []Pair {
	var out []Pair
	for _, r := range rates {
		cpu := []CPU{{"server", 3 * time.Second}, {"database", 90 * time.Millisecond}}
		out = append(out, Pair{Slice{Ops: 100_000, Rate: r[0], CPU: cpu}, Slice{Ops: 1000, Rate: r[1], CPU: cpu[:1]}})
	}
	return out
}

func TestFigureIsTheMedianOfItsPairsAndNotOfItsSides(t *testing.T) {
	// The machine became slower from pair to pair; each pair still says a half,
	// but for one that was disturbed.
	f := Figure{Pairs: pairs([2]float64{50, 100}, [2]float64{25, 50}, [2]float64{1, 40}, [2]float64{10, 20}, [2]float64{6, 10})}
	if got := f.Ratio(); got != 0.5 {
		t.Errorf("ratio %v, want 0.5", got)
	}
	if least, most := f.Spread(); least != 0.025 || most != 0.6 {
		t.Errorf("spread %v to %v, want 0.025 to 0.6", least, most)
	}
}

func TestMissedGoalIsNamed(t *testing.T) {
	r := Report{
		Figures: []Figure{
			{Name: "fast", Goal: 0.5, Pairs: pairs([2]float64{50, 100})},
			{Name: "slow", Goal: 0.6, Pairs: pairs([2]float64{50, 100})},
			{Name: "without a goal", Pairs: pairs([2]float64{1, 100})},
		},
		Sizes: []Size{{Name: "small", Bytes: 5000, Limit: 5000}, {Name: "large", Bytes: 5001, Limit: 5000}},
	}
	if diff := cmp.Diff([]string{"slow", "large"}, r.Missed()); diff != "" {
		t.Error(diff)
	}
}

func TestReportShowsEveryFigureWithItsCost(t *testing.T) {
	r := Report{
		Machine: []Fact{{"processors", "2"}},
		Figures: []Figure{{
			Name: "GET, cached", Baseline: "static bytes", Goal: 0.75, Aim: 0.9, LeftOut: "the network.", Missed: "the log line.",
			Pairs: pairs([2]float64{12_345.4, 24_690}),
		}},
		Sizes: []Size{{Name: "item", Bytes: 4321, Limit: 5000, Of: []Share{{"record", 4000}, {"index", 321}}}},
	}
	text, err := r.Markdown("docs/benchmarks.svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| GET, cached | 12 345/s | 24 690/s static bytes | **0.50** (0.50–0.50) | server 30 µs + database 0.9 µs ∶ server 3 000 µs | ≥ 0.75, aim 0.90 | **no** |\n",
		"- **GET, cached**: the network.\n", "## Goals that are missed\n\n- **GET, cached**: the log line.\n",
		"| item | **4 321** | 5 000 | yes | record 4 000, index 321 |\n", "| processors | 2 |\n", "(docs/benchmarks.svg)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

func TestFiguresHaveTwoDigits(t *testing.T) {
	for v, want := range map[float64]string{0.0123: "0.012", 0.1: "0.10", 0.995: "0.99", 1: "1.0", 9.96: "10.0", 12.3: "12", 345: "345"} {
		if got := figure(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}

func TestDrawingIsXMLWithABarForEachFigure(t *testing.T) {
	r := Report{Figures: []Figure{
		{Name: `a < b & "c"`, Goal: 1.2, Pairs: pairs([2]float64{130, 100})},
		{Name: "d", Pairs: pairs([2]float64{1, 100})},
	}}
	bars := 0
	d := xml.NewDecoder(strings.NewReader(r.SVG()))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 1+len(r.Figures) { // and the background
		t.Errorf("%d rectangles for %d figures", bars, len(r.Figures))
	}
}
