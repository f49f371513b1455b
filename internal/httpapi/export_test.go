package httpapi

// Titles are the titles of the problems by their codes.
func Titles() map[string]string {
	out := map[string]string{}
	for code, p := range titles {
		out[code] = p.title
	}
	return out
}
