package azurefake

import (
	"encoding/json"
	"io"
	"net/http"
)

// maxControlBody bounds what the control API reads, in bytes.
const maxControlBody = 16 << 20

// controlMux is the control API:
//
//	POST   /orders    an Order as JSON
//	DELETE /orders    ClearOrders
//	GET    /requests  Requests as JSON; target= and host= select
//	DELETE /requests  ResetRequests
//	POST   /tokens    MintOptions as JSON; the answer is the token
//	POST   /apps      SetApp with an App as JSON
//	POST   /federated FederatedToken of client=; the answer is the token
//	POST   /az        for the script of InstallAz
func (f *Fake) controlMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", f.controlOrder)
	mux.HandleFunc("DELETE /orders", func(http.ResponseWriter, *http.Request) { f.ClearOrders() })
	mux.HandleFunc("GET /requests", f.controlRequests)
	mux.HandleFunc("DELETE /requests", func(http.ResponseWriter, *http.Request) { f.ResetRequests() })
	mux.HandleFunc("POST /tokens", f.controlToken)
	mux.HandleFunc("POST /apps", f.controlApp)
	mux.HandleFunc("POST /federated", f.controlFederated)
	mux.HandleFunc("POST /az", f.serveAz)
	return mux
}

func (f *Fake) controlOrder(w http.ResponseWriter, r *http.Request) {
	var o Order
	if !readJSON(w, r, &o) {
		return
	}
	if err := f.orders.add(o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (f *Fake) controlRequests(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	body, err := json.Marshal(filter(f.Requests(), q.Get("target"), q.Get("host")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	send(w, http.StatusOK, "application/json", string(body))
}

func (f *Fake) controlToken(w http.ResponseWriter, r *http.Request) {
	var o MintOptions
	if readJSON(w, r, &o) {
		send(w, http.StatusOK, "text/plain", f.MintToken(o))
	}
}

func (f *Fake) controlApp(w http.ResponseWriter, r *http.Request) {
	var a App
	if !readJSON(w, r, &a) {
		return
	}
	if err := f.SetApp(a); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (f *Fake) controlFederated(w http.ResponseWriter, r *http.Request) {
	token, err := f.federate(r.URL.Query().Get("client"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	send(w, http.StatusOK, "text/plain", token)
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxControlBody))
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}
