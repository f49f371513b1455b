package carrier

import (
	"encoding/binary"
	"image"
	"image/color"
)

// pngCost is what image/png takes for a pixel: one byte for grey and
// palettes, up to eight for sixteen-bit colours.
func pngCost(_ []byte, c image.Config) int {
	switch c.ColorModel {
	case color.GrayModel:
		return 1
	case color.Gray16Model:
		return 2
	case color.RGBAModel, color.NRGBAModel:
		return 4
	case color.RGBA64Model, color.NRGBA64Model:
		return 8
	default: // a palette
		return 1
	}
}

// jpegCost is what image/jpeg takes for a pixel: a byte for each sample, and
// for a progressive JPEG four more for its coefficient.
func jpegCost(photo []byte, _ image.Config) int {
	samples, progressive := jpegFrame(photo)
	if progressive {
		samples *= 5
	}
	return samples
}

// Markers of a JPEG file (ITU-T T.81 table B.1).
const (
	markerSOF0 = 0xc0 // baseline
	markerSOF2 = 0xc2 // progressive
	markerRST0 = 0xd0
	markerEOI  = 0xd9
	markerTEM  = 0x01
)

// jpegFrame finds the frame header and returns the samples per pixel, rounded
// up, and whether the frame is progressive. Without a header it answers the
// most a JPEG can take: four samples, progressive.
func jpegFrame(photo []byte) (samples int, progressive bool) {
	at := 2 // behind SOI
	for at+4 <= len(photo) {
		marker := photo[at+1]
		switch {
		case photo[at] != 0xff || marker == 0:
			at++ // image/jpeg skips stray bytes between segments as well
			continue
		case marker == 0xff:
			at++
			continue
		case marker == markerTEM, marker >= markerRST0 && marker <= markerEOI:
			at += 2
			continue
		}
		segment := photo[at+4:]
		if marker >= markerSOF0 && marker <= markerSOF2 {
			return samplesPerPixel(segment), marker == markerSOF2
		}
		at += 2 + int(binary.BigEndian.Uint16(photo[at+2:]))
	}
	return 4, true
}

// samplesPerPixel reads the components of a frame header (ITU-T T.81 section
// B.2.2): each has samples in proportion to its sampling factors.
func samplesPerPixel(frame []byte) int {
	const head, component = 6, 3
	if len(frame) < head {
		return 4
	}
	sum, widest, highest := 0, 1, 1
	for i := range int(frame[5]) {
		at := head + i*component
		if at+component > len(frame) {
			return 4
		}
		h, v := int(frame[at+1]>>4), int(frame[at+1]&15)
		sum += h * v
		widest, highest = max(widest, h), max(highest, v)
	}
	most := widest * highest
	return max(1, (sum+most-1)/most)
}

// luminance returns the picture in grey. Transparent pixels are white, like
// the paper under a label.
func luminance(img image.Image) *image.Gray {
	switch img := img.(type) {
	case *image.Gray:
		return img
	case *image.YCbCr: // the luma plane is the grey picture
		return &image.Gray{Pix: img.Y, Stride: img.YStride, Rect: img.Rect}
	}
	bounds := img.Bounds()
	out := image.NewGray(image.Rect(0, 0, bounds.Dx(), bounds.Dy()))
	for y := range bounds.Dy() {
		row := out.Pix[y*out.Stride:]
		for x := range bounds.Dx() {
			row[x] = greyAt(img, bounds.Min.X+x, bounds.Min.Y+y)
		}
	}
	return out
}

// greyAt weighs a pixel by ITU-R BT.601 and lays it over white.
func greyAt(img image.Image, x, y int) byte {
	r, g, b, a := img.At(x, y).RGBA() // premultiplied, 16 bits each
	grey := (19595*r+38470*g+7471*b+1<<15)>>16 + (0xffff - a)
	return byte(min(grey, 0xffff) >> 8)
}

// The longer sides of the pictures that are searched.
const (
	middleSide  = 1280 // tried first
	largestSide = 4096 // larger pictures are searched at half their size
	smallSide   = 40   // below this nothing of a code is left
)

// sizes returns the picture halved again and again, in the order in which
// the sizes are searched: the largest of at most middleSide, then larger
// ones, then smaller ones.
func sizes(picture *image.Gray) []*image.Gray {
	var larger, smaller []*image.Gray
	for longest(picture) >= smallSide || len(larger)+len(smaller) == 0 {
		switch side := longest(picture); {
		case side > largestSide: // only halved
		case side > middleSide:
			larger = append([]*image.Gray{picture}, larger...)
		default:
			smaller = append(smaller, picture)
		}
		if len(smaller) == 3 || longest(picture) < 2 {
			break
		}
		picture = halved(picture)
	}
	if len(smaller) == 0 {
		return larger
	}
	return append(append([]*image.Gray{smaller[0]}, larger...), smaller[1:]...)
}

func longest(picture *image.Gray) int { return max(picture.Rect.Dx(), picture.Rect.Dy()) }

// halved averages every two by two pixels into one.
func halved(picture *image.Gray) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, max(1, picture.Rect.Dx()/2), max(1, picture.Rect.Dy()/2)))
	right, below := min(1, picture.Rect.Dx()-1), min(1, picture.Rect.Dy()-1)*picture.Stride
	for y := range out.Rect.Dy() {
		from, to := picture.Pix[min(2*y, picture.Rect.Dy()-1)*picture.Stride:], out.Pix[y*out.Stride:]
		for x := range out.Rect.Dx() {
			at := min(2*x, picture.Rect.Dx()-1)
			four := int(from[at]) + int(from[at+right]) + int(from[at+below]) + int(from[at+below+right])
			to[x] = byte((four + 2) >> 2 & 0xff)
		}
	}
	return out
}
