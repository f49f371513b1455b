package carrier

// The weights of ISO/IEC 18004 section 7.8.3.1, table 11.
const (
	penaltyRun     = 3  // five modules of one colour in a line, and one more for each beyond
	penaltyBlock   = 3  // two by two modules of one colour
	penaltyFinder  = 40 // what looks like a finder pattern
	penaltyBalance = 10 // for each five per cent away from half dark
)

// penalty says how hard a code is to read: lower is better.
func (c Code) penalty() int {
	total := c.blocks() + c.imbalance()
	for i := range c.size {
		total += linePenalty(c.size, func(j int) bool { return c.dark[i*c.size+j] })
		total += linePenalty(c.size, func(j int) bool { return c.dark[j*c.size+i] })
	}
	return total
}

// linePenalty counts long runs and lookalikes of finder patterns in one row
// or column. A lookalike is dark-light-dark-dark-dark-light-dark with four
// light modules on one side.
func linePenalty(size int, dark func(int) bool) int {
	const (
		lookalike = 0b1011101
		before    = 0b00001011101
		after     = 0b10111010000
		window    = 1<<11 - 1
	)
	total, run, bits := 0, 0, 0
	for i := range size {
		if i > 0 && dark(i) == dark(i-1) {
			run++
		} else {
			run = 1
		}
		switch {
		case run == 5:
			total += penaltyRun
		case run > 5:
			total++
		}
		bits = bits << 1 & window
		if dark(i) {
			bits |= 1
		}
		if i >= 10 && (bits == before || bits == after) {
			total += penaltyFinder
		}
	}
	return total
}

func (c Code) blocks() int {
	total := 0
	for y := range c.size - 1 {
		for x := range c.size - 1 {
			at := y*c.size + x
			if d := c.dark[at]; c.dark[at+1] == d && c.dark[at+c.size] == d && c.dark[at+c.size+1] == d {
				total += penaltyBlock
			}
		}
	}
	return total
}

func (c Code) imbalance() int {
	dark := 0
	for _, d := range c.dark {
		if d {
			dark++
		}
	}
	away := dark*20 - len(c.dark)*10 // twentieths of the whole away from half
	if away < 0 {
		away = -away
	}
	return away / len(c.dark) * penaltyBalance
}
