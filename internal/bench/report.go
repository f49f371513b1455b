package bench

import (
	_ "embed" // for the frame of the report
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
	"text/template"
	"time"
)

//go:embed report.md.tmpl
var frame string

// Markdown is the report as BENCHMARKS.md. The drawing stands at the path
// drawing, relative to it.
func (r Report) Markdown(drawing string) (string, error) {
	t, err := template.New("report").Funcs(template.FuncMap{
		"ratio": ratio, "spread": spread, "ours": ours, "baseline": baseline, "goal": goal, "met": met, "bytes": grouped,
		"used": func(f Figure) (string, error) { o, b := f.sides(); return parts(o) + " ∶ " + parts(b), nil },
	}).Parse(frame)
	if err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	var out strings.Builder
	if err := t.Execute(&out, struct {
		Report
		Drawing string
	}{r, drawing}); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return out.String(), nil
}

func ratio(f Figure) string { return figure(f.Ratio()) }

func spread(f Figure) string {
	least, most := f.Spread()
	return figure(least) + "–" + figure(most)
}

func ours(f Figure) string     { o, _ := f.sides(); return perSecond(rate(o)) }
func baseline(f Figure) string { _, b := f.sides(); return perSecond(rate(b)) }

func goal(f Figure) string {
	switch {
	case f.Goal == 0:
		return "–"
	case f.Aim > 0:
		return fmt.Sprintf("≥ %s, aim %s", figure(f.Goal), figure(f.Aim))
	}
	return "≥ " + figure(f.Goal)
}

func met(ok bool) string {
	if ok {
		return "yes"
	}
	return "**no**"
}

// figure writes two significant digits.
func figure(v float64) string {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return fmt.Sprint(v)
	}
	digits := max(0, 1-int(math.Floor(math.Log10(v))))
	return strconv.FormatFloat(v, 'f', digits, 64)
}

func perSecond(v float64) string { return grouped(int64(math.Round(v))) + "/s" }

// grouped writes a whole number with a narrow space between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// parts writes the processor time per operation: "server 31 µs, database 88 µs".
func parts(side []Slice) string {
	var out []string
	for _, c := range each(side) {
		out = append(out, c.Part+" "+micros(c.Took))
	}
	if len(out) == 0 {
		return "–"
	}
	return strings.Join(out, " + ")
}

func micros(d time.Duration) string {
	us := float64(d) / float64(time.Microsecond)
	if us < 10 {
		return strconv.FormatFloat(us, 'f', 1, 64) + " µs"
	}
	return grouped(int64(math.Round(us))) + " µs"
}

// Measures of the drawing, in its own units.
const (
	rowHeight  = 30
	labelWidth = 360
	plotWidth  = 420
	plotTop    = 34
	margin     = 60
)

// SVG draws each ratio as a bar with a mark at its goal.
func (r Report) SVG() string {
	longest := 1.0
	for _, f := range r.Figures {
		longest = max(longest, f.Ratio(), f.Goal, f.Aim)
	}
	scale := func(v float64) float64 { return labelWidth + v/longest*plotWidth }
	width, bottom := labelWidth+plotWidth+margin, plotTop+rowHeight*len(r.Figures)
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" font-family="sans-serif" font-size="13">`+"\n", width, bottom+12)
	fmt.Fprintf(&out, "<title>Ratio of the registry to its baseline, with goals</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", width, bottom+12)
	for v := 0.0; v <= longest; v += 0.25 {
		fmt.Fprintf(&out, `<line x1="%.0f" x2="%.0f" y1="%d" y2="%d" stroke="#ddd"/><text x="%.0f" y="%d" text-anchor="middle" fill="#555">%s</text>`+"\n",
			scale(v), scale(v), plotTop-8, bottom, scale(v), plotTop-14, strconv.FormatFloat(v, 'f', -1, 64))
	}
	for i, f := range r.Figures {
		f.draw(&out, plotTop+i*rowHeight, scale)
	}
	out.WriteString("</svg>\n")
	return out.String()
}

func (f Figure) draw(out *strings.Builder, top int, scale func(float64) float64) {
	colour := "#2c7a4b"
	if !f.Met() {
		colour = "#b3401f"
	}
	middle := top + rowHeight/2 + 4
	fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="end" fill="#111">%s</text>`, labelWidth-10, middle, html.EscapeString(f.Name))
	fmt.Fprintf(out, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, labelWidth, top+6, scale(f.Ratio())-labelWidth, rowHeight-12, colour)
	fmt.Fprintf(out, `<text x="%.0f" y="%d" fill="#111">%s</text>`, scale(max(f.Ratio(), f.Goal))+6, middle, ratio(f))
	if f.Goal > 0 {
		fmt.Fprintf(out, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#111" stroke-width="2"/>`, scale(f.Goal), scale(f.Goal), top+2, top+rowHeight-2)
	}
	out.WriteString("\n")
}
