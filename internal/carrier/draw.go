// Package carrier draws and reads the data carriers on a battery (EN
// 18220:2026; Art. 13(6) of Regulation (EU) 2023/1542 asks for a QR code).
// Callers need to know nothing of versions, masks and quiet zones when they
// print a code, nor of formats, sizes and angles when they are handed a photo
// of one. What a photo says is untrusted text: parse it before use.
package carrier

import (
	"errors"
	"fmt"

	"rsc.io/qr/coding"
)

// Level is how much of a QR code may be lost to dirt and scratches before it
// cannot be read any more (ISO/IEC 18004 section 7.5.1).
type Level int

// The levels, with the share of codewords that can be restored. Packs live
// long and dirty lives: use Quartile on them, Medium on paper and screens.
const (
	Low      Level = iota // 7 %
	Medium                // 15 %
	Quartile              // 25 %
	High                  // 30 %
)

// quiet is the width of the light margin in modules (ISO/IEC 18004 section
// 9.1 asks for four).
const quiet = 4

// Errors of QR.
var (
	ErrEmpty   = errors.New("there is no text to draw")
	ErrTooLong = errors.New("the text does not fit into a QR code")
)

// Code is a drawn QR code: a square of dark and light modules without its
// quiet zone. It never changes. The zero Code has no modules.
type Code struct {
	size int
	dark []bool // row by row
}

// QR draws a text in the smallest QR code that holds it at a level. A text of
// digits only, or of digits, capitals and a few signs, needs less room than
// others. The errors wrap ErrEmpty or ErrTooLong (2,953 bytes at Low, 1,663
// at Quartile).
func QR(text string, level Level) (Code, error) {
	if text == "" {
		return Code{}, ErrEmpty
	}
	if level < Low || level > High {
		return Code{}, fmt.Errorf("draw QR code: level %d is none of Low to High", level)
	}
	content := encoding(text)
	version, ok := smallest(content, coding.Level(level))
	if !ok {
		return Code{}, fmt.Errorf("draw QR code of %d bytes: %w", len(text), ErrTooLong)
	}
	return clearest(content, version, coding.Level(level))
}

func encoding(text string) coding.Encoding {
	switch {
	case coding.Num(text).Check() == nil:
		return coding.Num(text)
	case coding.Alpha(text).Check() == nil:
		return coding.Alpha(text)
	default:
		return coding.String(text)
	}
}

func smallest(content coding.Encoding, level coding.Level) (coding.Version, bool) {
	for v := coding.Version(coding.MinVersion); v <= coding.MaxVersion; v++ {
		if content.Bits(v) <= v.DataBytes(level)*8 {
			return v, true
		}
	}
	return 0, false
}

// masks is how many mask patterns there are.
const masks = 8

// clearest draws the code with each mask and keeps the one that a reader
// finds easiest, as ISO/IEC 18004 section 7.8.3 asks.
func clearest(content coding.Encoding, version coding.Version, level coding.Level) (Code, error) {
	var (
		best  Code
		least = -1
	)
	for mask := range coding.Mask(masks) {
		drawn, err := masked(content, version, level, mask)
		if err != nil {
			return Code{}, err
		}
		if p := drawn.penalty(); least < 0 || p < least {
			best, least = drawn, p
		}
	}
	return best, nil
}

func masked(content coding.Encoding, version coding.Version, level coding.Level, mask coding.Mask) (Code, error) {
	plan, err := coding.NewPlan(version, level, mask)
	if err != nil {
		return Code{}, fmt.Errorf("plan QR code of version %d: %w", version, err)
	}
	drawn, err := plan.Encode(content)
	if err != nil {
		return Code{}, fmt.Errorf("encode QR code of version %d: %w", version, err)
	}
	c := Code{size: drawn.Size, dark: make([]bool, drawn.Size*drawn.Size)}
	for i := range c.dark {
		c.dark[i] = drawn.Black(i%c.size, i/c.size)
	}
	return c, nil
}

// Size is the number of modules on a side, without the quiet zone: 21 to 177.
func (c Code) Size() int { return c.size }

// Dark reports whether the module in column x and row y is dark. Everything
// outside the code is light.
func (c Code) Dark(x, y int) bool {
	return x >= 0 && y >= 0 && x < c.size && y < c.size && c.dark[y*c.size+x]
}

// Modules returns the modules row by row, true for dark, without the quiet
// zone.
func (c Code) Modules() [][]bool {
	rows := make([][]bool, c.size)
	for y := range rows {
		rows[y] = append([]bool(nil), c.dark[y*c.size:(y+1)*c.size]...)
	}
	return rows
}
