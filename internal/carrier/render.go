package carrier

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strconv"
	"strings"
)

// SVGOptions says how an SVG presents itself. The zero value is a code of
// four pixels a module that is announced as "QR code".
type SVGOptions struct {
	Module int    // width of a module in CSS pixels; 4 where it is not positive
	Title  string // accessible name, such as the battery identifier in the code
}

// SVG draws the code as a standalone SVG document that may be put into a page
// as it is: no style, no script, no id. The picture is one path of horizontal
// runs in whole modules, with the quiet zone as part of its light background.
func (c Code) SVG(o SVGOptions) []byte {
	if c.size == 0 {
		return nil
	}
	module, title := o.Module, o.Title
	if module <= 0 {
		module = 4
	}
	if title == "" {
		title = "QR code"
	}
	side := c.size + 2*quiet
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%[1]d" viewBox="0 0 %d %[2]d" role="img" aria-label="%s" shape-rendering="crispEdges">`,
		side*module, side, escaped(title))
	fmt.Fprintf(&b, `<title>%s</title><path fill="#fff" d="M0 0h%dv%[2]dH0z"/><path fill="#000" d="%s"/></svg>`, escaped(title), side, c.path())
	return b.Bytes()
}

// path outlines each horizontal run of dark modules.
func (c Code) path() []byte {
	var b []byte
	for y := range c.size {
		for x := 0; x < c.size; x++ {
			start := x
			for c.Dark(x, y) {
				x++
			}
			if x == start {
				continue
			}
			b = strconv.AppendInt(append(b, 'M'), int64(start+quiet), 10)
			b = strconv.AppendInt(append(b, ' '), int64(y+quiet), 10)
			b = strconv.AppendInt(append(b, 'h'), int64(x-start), 10)
			b = strconv.AppendInt(append(b, "v1h-"...), int64(x-start), 10)
			b = append(b, 'z')
		}
	}
	return b
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer never fails
	return b.String()
}

// maxSide bounds a PNG in pixels, so that no request for a large module
// becomes one for much memory.
const maxSide = 4096

// PNG draws the code with the quiet zone as a PNG of one bit a pixel. A
// module is modulePx pixels wide: at least one, and at most so many that the
// picture is 4096 pixels wide.
func (c Code) PNG(modulePx int) []byte {
	if c.size == 0 {
		return nil
	}
	side := c.size + 2*quiet
	modulePx = min(max(modulePx, 1), maxSide/side)
	img := image.NewPaletted(image.Rect(0, 0, side*modulePx, side*modulePx), color.Palette{color.White, color.Black})
	for y := range img.Rect.Dy() {
		row := img.Pix[y*img.Stride:][:img.Stride]
		if y%modulePx > 0 { // a module's rows of pixels are equal
			copy(row, img.Pix[(y-1)*img.Stride:])
			continue
		}
		for x := range row {
			if c.Dark(x/modulePx-quiet, y/modulePx-quiet) {
				row[x] = 1
			}
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img) // fails on a writer's error only, and a bytes.Buffer has none
	return b.Bytes()
}

// Two modules share a character of a terminal, whose cells are about twice as
// high as wide. Black on white is asked for, so that the code is dark on
// light whatever the terminal's own colours are.
const (
	blackOnWhite = "\x1b[30;107m"
	ownColours   = "\x1b[0m"
)

// Terminal draws the code with its quiet zone in half-block characters, two
// rows of modules to a line. It sets and resets colours by ANSI sequences.
func (c Code) Terminal() string {
	if c.size == 0 {
		return ""
	}
	var b strings.Builder
	for y := -quiet; y < c.size+quiet; y += 2 {
		b.WriteString(blackOnWhite)
		for x := -quiet; x < c.size+quiet; x++ {
			b.WriteString(halves[c.Dark(x, y)][c.Dark(x, y+1)])
		}
		b.WriteString(ownColours + "\n")
	}
	return b.String()
}

// halves holds the character for an upper and a lower module.
var halves = map[bool]map[bool]string{
	false: {false: " ", true: "▄"},
	true:  {false: "▀", true: "█"},
}
