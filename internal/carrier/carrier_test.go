package carrier

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/datamatrix"
	"golang.org/x/image/draw"
	"golang.org/x/image/math/f64"
	"pgregory.net/rapid"
	"rsc.io/qr/coding"
)

// link is a Digital Link of 56 characters, the usual length on a pack.
const link = "https://id.provolt.example/01/09506000134352/21/A1B2C3D4"

func drawn(t testing.TB, text string, level Level) Code {
	t.Helper()
	c, err := QR(text, level)
	if err != nil {
		t.Fatalf("draw %q: %v", text, err)
	}
	return c
}

func decoded(t testing.TB, picture []byte) image.Image {
	t.Helper()
	img, _, err := image.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatalf("decode picture: %v", err)
	}
	return img
}

func asPNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatalf("encode PNG: %v", err)
	}
	return b.Bytes()
}

func asJPEG(t testing.TB, img image.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatalf("encode JPEG: %v", err)
	}
	return b.Bytes()
}

// photo is a grey desk of the given size with a picture on it: scaled and
// turned about the middle of the desk.
func photo(width, height int, on image.Image, scale, degrees float64) *image.RGBA {
	desk := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(desk, desk.Rect, image.NewUniform(color.Gray{Y: 170}), image.Point{}, draw.Src)
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	half := f64.Vec2{float64(on.Bounds().Dx()) / 2, float64(on.Bounds().Dy()) / 2}
	a, b := scale*cos, -scale*sin
	d, e := scale*sin, scale*cos
	draw.BiLinear.Transform(desk, f64.Aff3{
		a, b, float64(width)/2 - a*half[0] - b*half[1],
		d, e, float64(height)/2 - d*half[0] - e*half[1],
	}, on, on.Bounds(), draw.Over, nil)
	return desk
}

// grainy adds the noise of a sensor in poor light, the same in every run.
func grainy(img *image.RGBA, strength int) *image.RGBA {
	random := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(img.Pix); i += 4 {
		shift := random.IntN(2*strength+1) - strength
		for c := range 3 {
			img.Pix[i+c] = byte(min(max(int(img.Pix[i+c])+shift, 0), 255))
		}
	}
	return img
}

func reads(t *testing.T, picture []byte, want string) {
	t.Helper()
	got, err := Read(picture)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestADigitalLinkFitsASmallLabel(t *testing.T) {
	if len(link) != 56 {
		t.Fatalf("the link has %d characters", len(link))
	}
	for level, modules := range map[Level]int{Medium: 33, Quartile: 37} { // 25 mm with quiet zone: 0.6 and 0.55 mm a module
		if got := drawn(t, link, level).Size(); got != modules {
			t.Errorf("level %d: %d modules, want %d", level, got, modules)
		}
	}
}

func TestWhatIsDrawnCanBeRead(t *testing.T) {
	for _, text := range []string{link, "0123456789", "HTTPS://EXAMPLE.EU/A1", "Grüße aus Köln, 電池", "a", strings.Repeat("x", 1200)} {
		for _, level := range []Level{Low, Medium, Quartile, High} {
			reads(t, drawn(t, text, level).PNG(3), text)
		}
	}
}

func TestAnyIdentifierSurvivesTheRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ -~]{1,180}`).Draw(t, "text")
		c, err := QR(text, Level(rapid.IntRange(0, 3).Draw(t, "level")))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(c.PNG(2))
		if err != nil || got != text {
			t.Fatalf("read %q: %v", got, err)
		}
	})
}

func TestEveryMaskCanBeRead(t *testing.T) {
	for mask := range coding.Mask(masks) {
		c, err := masked(coding.String(link), 5, coding.Q, mask)
		if err != nil {
			t.Fatal(err)
		}
		reads(t, c.PNG(4), link)
	}
}

func TestTheClearestMaskIsChosen(t *testing.T) {
	best := drawn(t, link, Quartile)
	for mask := range coding.Mask(masks) {
		c, err := masked(coding.String(link), 5, coding.Q, mask)
		if err != nil {
			t.Fatal(err)
		}
		if c.penalty() < best.penalty() {
			t.Errorf("mask %d has penalty %d, the chosen one %d", mask, c.penalty(), best.penalty())
		}
	}
}

// The rows of table 11 of ISO/IEC 18004, one at a time.
func TestPenaltiesAreThoseOfTheStandard(t *testing.T) {
	line := func(s string) int {
		return linePenalty(len(s), func(i int) bool { return s[i] == '#' })
	}
	for s, want := range map[string]int{
		"#.#.#.#.#.#": 0,
		"####.####.#": 0,
		"#####.#.#.#": 3,
		"#######.#.#": 5,
		"....#.###.#": 40,
		"#.###.#....": 40,
		"..#.###.#..": 0,
	} {
		if got := line(s); got != want {
			t.Errorf("%s: %d, want %d", s, got, want)
		}
	}
	dark := Code{size: 2, dark: []bool{true, true, true, true}}
	if got := dark.blocks(); got != 3 {
		t.Errorf("a dark block: %d, want 3", got)
	}
	if got := dark.imbalance(); got != 100 {
		t.Errorf("all dark: %d, want 100", got)
	}
}

func TestWhatCannotBeDrawnIsRefused(t *testing.T) {
	if _, err := QR("", Medium); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := QR(strings.Repeat("x", 3000), Low); !errors.Is(err, ErrTooLong) {
		t.Errorf("3000 bytes: %v", err)
	}
	if _, err := QR("x", High+1); err == nil {
		t.Error("a level that is none was drawn")
	}
	if got := drawn(t, strings.Repeat("x", 1663), Quartile).Size(); got != 177 {
		t.Errorf("1663 bytes at Quartile: %d modules, want 177", got)
	}
	var none Code
	if none.SVG(SVGOptions{}) != nil || none.PNG(4) != nil || none.Terminal() != "" || len(none.Modules()) != 0 || none.Dark(0, 0) {
		t.Error("the zero code draws something")
	}
}

func TestPhotosFromAnyAngleAreRead(t *testing.T) {
	label := decoded(t, drawn(t, link, Quartile).PNG(8))
	for degrees := 0; degrees < 360; degrees += 30 {
		t.Run(strconv.Itoa(degrees), func(t *testing.T) {
			reads(t, asJPEG(t, photo(700, 700, label, 1, float64(degrees)), 60), link)
		})
	}
}

func TestPhotosOfAnySizeAreRead(t *testing.T) {
	label := decoded(t, drawn(t, link, Quartile).PNG(8))
	for _, row := range []struct {
		claim                string
		width, height        int
		scale, degrees       float64
		strength, jpegPoints int
	}{
		{"a thumbnail", 200, 160, 0.4, 0, 0, 90},
		{"a screen", 1280, 720, 1, 10, 10, 75},
		{"a small code in a large photo", 1800, 1400, 0.6, 20, 6, 75},
		{"a code that fills a large photo", 1700, 1700, 3.6, 5, 0, 60},
		{"poor light", 640, 480, 1, 7, 50, 60},
	} {
		t.Run(row.claim, func(t *testing.T) {
			img := photo(row.width, row.height, label, row.scale, row.degrees)
			if row.strength > 0 {
				img = grainy(img, row.strength)
			}
			reads(t, asJPEG(t, img, row.jpegPoints), link)
		})
	}
}

func TestEveryKindOfPixelIsRead(t *testing.T) {
	label := decoded(t, drawn(t, link, Medium).PNG(4))
	for name, canvas := range map[string]draw.Image{
		"grey":             image.NewGray(label.Bounds()),
		"sixteen bit grey": image.NewGray16(label.Bounds()),
		"colour":           image.NewRGBA(label.Bounds()),
		"transparent":      image.NewNRGBA(label.Bounds()),
		"sixteen bit":      image.NewNRGBA64(label.Bounds()),
	} {
		t.Run(name, func(t *testing.T) {
			draw.Draw(canvas, label.Bounds(), label, image.Point{}, draw.Src)
			reads(t, asPNG(t, canvas), link)
		})
	}
}

func TestDarkModulesOnTransparentPaperAreRead(t *testing.T) {
	c := drawn(t, link, Medium)
	img := image.NewNRGBA(image.Rect(0, 0, 300, 300))
	for y := range 300 {
		for x := range 300 {
			if c.Dark(x/6-quiet, y/6-quiet) {
				img.SetNRGBA(x, y, color.NRGBA{A: 255})
			}
		}
	}
	reads(t, asPNG(t, img), link)
}

func TestADataMatrixIsRead(t *testing.T) {
	matrix, err := datamatrix.NewDataMatrixWriter().Encode(link, gozxing.BarcodeFormat_DATA_MATRIX, 0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	const module, margin = 8, 32
	label := image.NewGray(image.Rect(0, 0, matrix.GetWidth()*module+2*margin, matrix.GetHeight()*module+2*margin))
	for i := range label.Pix {
		x, y := i%label.Stride-margin, i/label.Stride-margin
		if x < 0 || y < 0 || x >= matrix.GetWidth()*module || y >= matrix.GetHeight()*module || !matrix.Get(x/module, y/module) {
			label.Pix[i] = 255
		}
	}
	for _, degrees := range []float64{0, 8, 90, 180, 270} {
		t.Run(fmt.Sprint(degrees), func(t *testing.T) {
			reads(t, asJPEG(t, photo(600, 500, label, 1, degrees), 75), link)
		})
	}
}

func TestTheSVGDrawsTheCode(t *testing.T) {
	c := drawn(t, link, Quartile)
	svg := string(c.SVG(SVGOptions{Module: 6, Title: `Battery <A&B> "1"`}))
	if err := xml.Unmarshal([]byte(svg), new(struct{ XMLName xml.Name })); err != nil {
		t.Fatalf("not well-formed: %v", err)
	}
	for _, want := range []string{`viewBox="0 0 45 45"`, `width="270"`, `role="img"`, `aria-label="Battery &lt;A&amp;B&gt;`, `<title>Battery &lt;A&amp;B&gt;`} {
		if !strings.Contains(svg, want) {
			t.Errorf("%s is missing in %.300s", want, svg)
		}
	}
	if strings.Contains(svg, "style=") || strings.Contains(svg, "<script") {
		t.Error("the content security policy of the pages would not let it through")
	}
	reads(t, asPNG(t, rasterised(t, svg, 45, 4)), link)
	if got := string(c.SVG(SVGOptions{})); !strings.Contains(got, "<title>QR code</title>") || !strings.Contains(got, `width="180"`) {
		t.Errorf("defaults: %.300s", got)
	}
}

// rasterised paints the dark runs of an SVG of ours.
func rasterised(t *testing.T, svg string, side, px int) image.Image {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, side*px, side*px))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	runs := regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(svg, -1)
	if len(runs) == 0 {
		t.Fatal("no runs of dark modules")
	}
	for _, run := range runs {
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(run[i+1]) // digits by the pattern
		}
		if n[2] != n[3] {
			t.Fatalf("run %s does not close", run[0])
		}
		draw.Draw(img, image.Rect(n[0]*px, n[1]*px, (n[0]+n[2])*px, (n[1]+1)*px), image.Black, image.Point{}, draw.Src)
	}
	return img
}

func TestTheTerminalShowsTheCode(t *testing.T) {
	c := drawn(t, link, Medium)
	lines := strings.Split(strings.TrimSuffix(c.Terminal(), "\n"), "\n")
	const px = 4
	img := image.NewGray(image.Rect(0, 0, (c.Size()+2*quiet)*px, len(lines)*2*px))
	for y, line := range lines {
		line = strings.TrimSuffix(strings.TrimPrefix(line, blackOnWhite), ownColours)
		for x, char := range []rune(line) {
			for half, dark := range []bool{char == '▀' || char == '█', char == '▄' || char == '█'} {
				shade := image.White
				if dark {
					shade = image.Black
				}
				draw.Draw(img, image.Rect(x*px, (2*y+half)*px, (x+1)*px, (2*y+half+1)*px), shade, image.Point{}, draw.Src)
			}
		}
	}
	reads(t, asPNG(t, img), link)
}

func TestModulesAreTheCallersOwn(t *testing.T) {
	c := drawn(t, link, Medium)
	rows := c.Modules()
	if len(rows) != c.Size() || len(rows[0]) != c.Size() || !rows[0][0] {
		t.Fatalf("%d rows of %d, want %d with a dark corner", len(rows), len(rows[0]), c.Size())
	}
	rows[0][0] = false
	if !c.Dark(0, 0) {
		t.Error("changing the copy changed the code")
	}
}

func TestAPNGIsNeverHuge(t *testing.T) {
	c := drawn(t, "x", Low)
	for module, want := range map[int]int{-1: 29, 0: 29, 1: 29, 10: 290, 1_000_000: 29 * (4096 / 29)} {
		config, err := png.DecodeConfig(bytes.NewReader(c.PNG(module)))
		if err != nil || config.Width != want {
			t.Errorf("module of %d: %d pixels wide (%v), want %d", module, config.Width, err, want)
		}
	}
}

// claiming is a PNG whose header promises a size that nothing follows.
func claiming(width, height uint32, depth, colour byte) []byte {
	header := make([]byte, 0, 17)
	header = append(header, "IHDR"...)
	header = binary.BigEndian.AppendUint32(header, width)
	header = binary.BigEndian.AppendUint32(header, height)
	header = append(header, depth, colour, 0, 0, 0)
	out := append([]byte(nil), pngMagic...)
	out = binary.BigEndian.AppendUint32(out, 13)
	out = append(out, header...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(header))
}

// jpegClaiming is a JPEG up to its frame header.
func jpegClaiming(marker byte, width, height uint16, sampling byte) []byte {
	out := append([]byte{0xff, 0xd8, 0xff, 0xe0, 0, 16}, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"...)
	out = append(out, 0xff, marker, 0, 17, 8)
	out = binary.BigEndian.AppendUint16(out, height)
	out = binary.BigEndian.AppendUint16(out, width)
	return append(out, 3, 1, sampling, 0, 2, 0x11, 0, 3, 0x11, 0)
}

func TestWhatIsNoPhotoOfACodeIsRefused(t *testing.T) {
	sound := drawn(t, link, Medium).PNG(4)
	var animated bytes.Buffer
	if err := gif.Encode(&animated, decoded(t, sound), nil); err != nil {
		t.Fatal(err)
	}
	large := append(append([]byte(nil), sound...), make([]byte, 13<<20)...)
	padding := make([]byte, 8<<20)
	for _, row := range []struct {
		claim   string
		picture []byte
		want    error
	}{
		{"nothing", nil, ErrFormat},
		{"a few bytes", []byte{0xff, 0xd8}, ErrFormat},
		{"a GIF", animated.Bytes(), ErrFormat},
		{"an SVG", drawn(t, link, Medium).SVG(SVGOptions{}), ErrFormat},
		{"a text", []byte(link), ErrFormat},
		{"a truncated PNG", sound[:len(sound)/2], ErrFormat},
		{"a PNG without pixels", claiming(0, 0, 8, 0), ErrFormat},
		{"a truncated JPEG", asJPEG(t, decoded(t, sound), 80)[:300], ErrFormat},
		{"a JPEG of magic bytes", jpegMagic, ErrFormat},
		{"13 MiB", large, ErrTooLarge},
		{"a PNG that claims 60000 x 60000", claiming(60000, 60000, 8, 0), ErrTooManyPixels},
		{"a JPEG that claims 60000 x 60000", jpegClaiming(0xc0, 60000, 60000, 0x22), ErrTooManyPixels},
		{"48 megapixels of sixteen bit colour", append(claiming(8000, 6000, 16, 6), padding...), ErrTooManyPixels},
		{"48 megapixels of progressive JPEG", append(jpegClaiming(0xc2, 8000, 6000, 0x22), padding...), ErrTooManyPixels},
		{"48 megapixels in a hundred bytes", claiming(8000, 6000, 8, 0), ErrFormat},
		{"an empty desk", asJPEG(t, photo(640, 480, image.NewGray(image.Rect(0, 0, 9, 9)), 1, 0), 80), ErrNoCode},
		{"one pixel", asPNG(t, image.NewGray(image.Rect(0, 0, 1, 1))), ErrNoCode},
		{"a line", asPNG(t, image.NewGray(image.Rect(0, 0, 20000, 1))), ErrNoCode},
		{"noise", asPNG(t, grainy(photo(500, 500, image.NewGray(image.Rect(0, 0, 1, 1)), 1, 0), 255)), ErrNoCode},
	} {
		t.Run(row.claim, func(t *testing.T) {
			if text, err := Read(row.picture); !errors.Is(err, row.want) {
				t.Errorf("read %q, %v; want %v", text, err, row.want)
			}
		})
	}
}

// Every corner of a QR code is compared with every two others, so thousands
// of them would keep the reader busy for hours.
func TestAWallOfCornersDoesNotKeepTheReaderBusy(t *testing.T) {
	const px, pitch, side = 3, 33, 1280
	corner := Code{size: 7, dark: make([]bool, 49)}
	for i := range corner.dark {
		x, y := i%7, i/7
		ring := x == 0 || y == 0 || x == 6 || y == 6
		corner.dark[i] = ring || x >= 2 && x <= 4 && y >= 2 && y <= 4
	}
	wall := image.NewGray(image.Rect(0, 0, side, side))
	for i := range wall.Pix {
		if x, y := i%side%pitch/px-2, i/side%pitch/px-2; !corner.Dark(x, y) {
			wall.Pix[i] = 255
		}
	}
	if _, err := Read(asPNG(t, wall)); !errors.Is(err, ErrNoCode) {
		t.Errorf("read: %v, want %v", err, ErrNoCode)
	}
}

func TestLargePhotosAreHalvedUntilTheyAreHandy(t *testing.T) {
	for _, row := range []struct {
		width, height int
		want          []int // longer sides in the order searched
	}{
		{8000, 100, []int{1000, 2000, 4000, 500, 250}},
		{4000, 300, []int{1000, 2000, 4000, 500, 250}},
		{1280, 960, []int{1280, 640, 320}},
		{640, 480, []int{640, 320, 160}},
		{60, 60, []int{60}},
		{1, 1, []int{1}},
	} {
		var got []int
		for _, s := range sizes(image.NewGray(image.Rect(0, 0, row.width, row.height))) {
			got = append(got, longest(s))
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%d x %d (-want +got):\n%s", row.width, row.height, diff)
		}
	}
}

func FuzzRead(f *testing.F) {
	c, err := QR("a", Low)
	if err != nil {
		f.Fatal(err)
	}
	sound := c.PNG(1)
	f.Add(sound)
	f.Add(sound[:len(sound)/2])
	f.Add(asJPEG(f, decoded(f, sound), 30))
	f.Add(claiming(60000, 60000, 8, 0))
	f.Add(jpegClaiming(0xc2, 8, 8, 0x22))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, photo []byte) {
		text, err := Read(photo)
		if (text == "") != (err != nil) {
			t.Errorf("text %q with error %v", text, err)
		}
		for _, known := range []error{nil, ErrTooLarge, ErrTooManyPixels, ErrFormat, ErrNoCode} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Errorf("untyped error %v", err)
	})
}
