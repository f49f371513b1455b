package registry_test

import (
	"testing"

	"github.com/provolt/provolt/internal/registry"
	"github.com/provolt/provolt/internal/verify"
)

func TestAWholeDocumentBecomesAGenuinePassport(t *testing.T) {
	w := newWorld(t)
	receipt := w.register(document(t, "ev.json"))
	if len(receipt.Records) != 3 {
		t.Fatalf("records = %d, want model, batch and passport", len(receipt.Records))
	}
	result, err := w.Verification(t.Context(), receipt.Passport, 0)
	if err != nil {
		t.Fatal(err)
	}
	if result.Verdict != verify.Genuine {
		t.Errorf("verdict = %s, checks %+v", result.Verdict, result.Checks)
	}
	view, err := w.Passport(t.Context(), receipt.Passport, 0, registry.Reader{})
	if err != nil {
		t.Fatal(err)
	}
	if view.Standing.State != registry.Active || view.Model == nil || view.Batch == nil {
		t.Errorf("view = %+v", view)
	}
}
