package web

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// sketch is the outline of the pack, drawn to scale from its declared
// dimensions, in the view from above one corner.
type sketch struct {
	Width, Height      int    // of the drawing
	Top, Left, Right   string // faces, as SVG points
	Length, Deep, Tall string // labels
	LX, LY             int    // middle of the edge each label belongs to
	DX, DY             int
	TX, TY             int
	Text               string // for who does not see it
}

// sketch draws in whole units of a tenth of a thousandth of the longest side,
// so that no figure is ever a float.
func (s scan) sketch() *sketch {
	size, _ := dig(s.model(), "identification", "dimensionsMm")
	var mm [3]int64
	var text [3]string
	for i, name := range []string{"length", "width", "height"} {
		n, ok := digNumber(size, name)
		r, exactly := exact(n.String())
		if !ok || !exactly || r.Sign() <= 0 || r.Cmp(big.NewRat(100_000, 1)) > 0 {
			return nil
		}
		mm[i], text[i] = max(1, roundHalfUp(r)), s.l.number(json.Number(n.String()))
	}
	return isometric(mm, text, s.l.t("battery.sketch", "length", text[0], "width", text[1], "height", text[2]))
}

// isometric projects a box: x' = (l-w)·cos 30°, y' = (l+w)·sin 30° - h.
func isometric(mm [3]int64, text [3]string, alt string) *sketch {
	const drawn, pad = 260, 14
	length, wide, tall := mm[0], mm[1], mm[2]
	extent := (length + wide) * 866 / 1000
	extent = max(extent, (length+wide)/2+tall, 1)
	px := func(l, w, h int64) (int, int) {
		x := (l + wide - w) * 866 * drawn / 1000 / extent
		y := ((l+w)*500/1000 + tall - h) * drawn / extent
		return int(x) + pad, int(y) + pad
	}
	points := func(corners ...[3]int64) string {
		var b strings.Builder
		for _, c := range corners {
			x, y := px(c[0], c[1], c[2])
			fmt.Fprintf(&b, "%d,%d ", x, y)
		}
		return strings.TrimSpace(b.String())
	}
	mid := func(a, b [3]int64) (int, int) {
		x1, y1 := px(a[0], a[1], a[2])
		x2, y2 := px(b[0], b[1], b[2])
		return (x1 + x2) / 2, (y1 + y2) / 2
	}
	far := [3]int64{length, 0, 0}
	near := [3]int64{length, wide, 0}
	side := [3]int64{0, wide, 0}
	sk := &sketch{
		Top:    points([3]int64{0, 0, tall}, [3]int64{length, 0, tall}, [3]int64{length, wide, tall}, [3]int64{0, wide, tall}),
		Left:   points([3]int64{0, wide, tall}, [3]int64{length, wide, tall}, near, side),
		Right:  points([3]int64{length, wide, tall}, [3]int64{length, 0, tall}, far, near),
		Length: text[0], Deep: text[1], Tall: text[2] + noBreak + "mm", Text: alt,
	}
	sk.LX, sk.LY = mid(side, near)
	sk.DX, sk.DY = mid(near, far)
	sk.TX, sk.TY = mid(far, [3]int64{length, 0, tall})
	right, _ := px(length, 0, 0)
	_, low := px(length, wide, 0)
	sk.Width, sk.Height = right+pad+60, low+pad+10
	return sk
}
