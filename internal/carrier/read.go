package carrier

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/datamatrix"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// The limits on a photo. They are read from its length and header, before
// anything is decoded.
const (
	MaxPhotoBytes  = 12 << 20   // what a phone's best JPEG needs, and then some
	MaxPhotoPixels = 50_000_000 // a 50-megapixel sensor
	maxPixelBytes  = 256 << 20  // memory that decoding may take
)

// The errors of Read. Their texts may be shown to whoever sent the photo.
var (
	ErrTooLarge      = errors.New("the photo is larger than 12 MiB")
	ErrTooManyPixels = errors.New("the photo has more than 50 megapixels, or needs too much memory")
	ErrFormat        = errors.New("the file is no JPEG or PNG photo that can be read")
	ErrNoCode        = errors.New("no QR code or Data Matrix was found in the photo")
)

// Read finds a QR code or Data Matrix in a photo and returns its text, which
// is untrusted. The photo is a JPEG or PNG, known by its first bytes, of at
// most 12 MiB and 50 megapixels. The code may be of any size and angle; where
// there are several, one is read. EXIF orientation does not matter.
//
// Errors wrap ErrTooLarge, ErrTooManyPixels, ErrFormat or ErrNoCode. One call
// takes up to 300 MB of memory and, where a large photo holds no code, a few
// seconds; callers that serve strangers bound how many run at once.
func Read(photo []byte) (string, error) {
	if len(photo) > MaxPhotoBytes {
		return "", fmt.Errorf("read photo: %w: %d bytes", ErrTooLarge, len(photo))
	}
	format, err := formatOf(photo)
	if err != nil {
		return "", fmt.Errorf("read photo: %w", err)
	}
	if err := format.affordable(photo); err != nil {
		return "", fmt.Errorf("read photo: %w", err)
	}
	img, err := format.decode(bytes.NewReader(photo))
	if err != nil {
		return "", fmt.Errorf("read photo: %w: %w", ErrFormat, err)
	}
	text, err := search(luminance(img))
	if err != nil {
		return "", fmt.Errorf("read photo: %w", err)
	}
	return text, nil
}

// search looks at the picture in several sizes. Middle sizes come first: they
// are fast, and a code that fills a photo is clearer there, where the grain
// of the sensor is averaged out. The large ones hold small codes.
func search(picture *image.Gray) (string, error) {
	var reason error
	for _, size := range sizes(picture) {
		text, err := readAt(size)
		if err == nil {
			return text, nil
		}
		reason = err
	}
	return "", fmt.Errorf("%w: %w", ErrNoCode, reason)
}

// attempt is one way to look for a code.
type attempt struct {
	reader    gozxing.Reader
	binarizer func(gozxing.LuminanceSource) gozxing.Binarizer
}

// attempts lists the ways in the order in which they succeed most often. The
// hybrid binarizer copes with shadows, the other with blur and tiny images.
func attempts() []attempt {
	return []attempt{
		{qrcode.NewQRCodeReader(), gozxing.NewHybridBinarizer},
		{qrcode.NewQRCodeReader(), gozxing.NewGlobalHistgramBinarizer},
		{datamatrix.NewDataMatrixReader(), gozxing.NewHybridBinarizer},
		{datamatrix.NewDataMatrixReader(), gozxing.NewGlobalHistgramBinarizer},
	}
}

func readAt(picture *image.Gray) (string, error) {
	reason := errors.New("the picture is too small")
	for _, a := range attempts() {
		text, err := a.read(picture)
		if err == nil {
			return text, nil
		}
		reason = err
	}
	return "", reason
}

// maxCandidates bounds the corners of QR codes that are considered at once:
// the library compares every three of them, so a picture made of thousands
// would keep it busy for hours. A street scene has a few dozen.
const maxCandidates = 400

// read makes one attempt. The library may panic on what a photo contains,
// and is stopped by a panic of ours when it finds too many candidates; both
// mean that no code was read.
func (a attempt) read(picture *image.Gray) (text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			text, err = "", fmt.Errorf("decoder gave up: %v", p)
		}
	}()
	side := picture.Rect.Size()
	source, err := gozxing.NewPlanarYUVLuminanceSource(picture.Pix, picture.Stride, side.Y, 0, 0, side.X, side.Y, false)
	if err != nil {
		return "", err
	}
	bitmap, err := gozxing.NewBinaryBitmap(a.binarizer(source))
	if err != nil {
		return "", err
	}
	candidates := 0
	result, err := a.reader.Decode(bitmap, map[gozxing.DecodeHintType]any{
		gozxing.DecodeHintType_TRY_HARDER: true,
		gozxing.DecodeHintType_NEED_RESULT_POINT_CALLBACK: gozxing.ResultPointCallback(func(gozxing.ResultPoint) {
			if candidates++; candidates > maxCandidates {
				panic(fmt.Sprintf("more than %d things that look like corners of a QR code", maxCandidates))
			}
		}),
	})
	if err != nil {
		return "", err
	}
	if result.GetText() == "" {
		return "", errors.New("the code is empty")
	}
	return result.GetText(), nil
}

// format is a kind of picture that is read.
type format struct {
	decode func(*bytes.Reader) (image.Image, error)
	config func(*bytes.Reader) (image.Config, error)
	cost   func(photo []byte, c image.Config) int // bytes of memory per pixel, rounded up
}

var (
	jpegMagic = []byte{0xff, 0xd8, 0xff}
	pngMagic  = []byte("\x89PNG\r\n\x1a\n")
)

// formatOf tells the format by the first bytes. It does not ask package
// image, whose formats depend on what else is linked in.
func formatOf(photo []byte) (format, error) {
	switch {
	case bytes.HasPrefix(photo, jpegMagic):
		return format{
			decode: func(r *bytes.Reader) (image.Image, error) { return jpeg.Decode(r) },
			config: func(r *bytes.Reader) (image.Config, error) { return jpeg.DecodeConfig(r) },
			cost:   jpegCost,
		}, nil
	case bytes.HasPrefix(photo, pngMagic):
		return format{
			decode: func(r *bytes.Reader) (image.Image, error) { return png.Decode(r) },
			config: func(r *bytes.Reader) (image.Config, error) { return png.DecodeConfig(r) },
			cost:   pngCost,
		}, nil
	default:
		return format{}, ErrFormat
	}
}

// maxPacked is how many pixels a byte of a photo can stand for: a PNG of one
// bit a pixel, packed by deflate at its limit of 1032 to 1. A file that
// claims more was cut off, or claims it to waste memory.
const maxPacked = 8 * 1032

// affordable judges a photo by its header.
func (f format) affordable(photo []byte) error {
	c, err := f.config(bytes.NewReader(photo))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if c.Width <= 0 || c.Height <= 0 {
		return fmt.Errorf("%w: it has no pixels", ErrFormat)
	}
	pixels := int64(c.Width) * int64(c.Height) // at most 2^31 each
	if pixels > MaxPhotoPixels || pixels*int64(f.cost(photo, c)) > maxPixelBytes {
		return fmt.Errorf("%w: %d x %d pixels", ErrTooManyPixels, c.Width, c.Height)
	}
	if pixels > int64(len(photo))*maxPacked {
		return fmt.Errorf("%w: %d bytes cannot hold %d x %d pixels", ErrFormat, len(photo), c.Width, c.Height)
	}
	return nil
}
