// SPDX-License-Identifier: GPL-2.0-only

// What a service has in memory: maps, slices, strings, structs with pointers, interfaces, goroutines.
package main

import (
	"fmt"
	"math/rand"
	"strings"
	"time"
)

type handler interface{ serve(path string) string }
type point struct {
	x, y  float32
	level uint8
}
type user struct {
	id     int64
	name   string
	mail   *string
	since  time.Time
	at     point
	rights map[string]bool
	friends []*user
}
type request struct {
	by   *user
	path []string
	body []byte
	head map[string][]string
}

func (u *user) serve(path string) string { return u.name + path }

func main() {
	rng := rand.New(rand.NewSource(38))
	var users []*user
	for n := 0; n < 60000; n++ {
		mail := fmt.Sprintf("%d@example.org", n)
		u := &user{id: int64(n), name: fmt.Sprint("user ", rng.Intn(9999)), mail: &mail, since: time.Unix(rng.Int63n(1e9), 0),
			at: point{rng.Float32(), rng.Float32(), uint8(n)}, rights: map[string]bool{"read": true, "write": n%3 == 0}}
		for k := 0; k < 3 && n > 0; k++ {
			u.friends = append(u.friends, users[rng.Intn(n)])
		}
		users = append(users, u)
	}
	byName := map[string][]handler{}
	for _, u := range users {
		byName[u.name] = append(byName[u.name], u)
	}
	requests := make(chan request, 20000)
	for n := 0; n < 20000; n++ {
		path := fmt.Sprintf("/api/v%d/items/%d/parts", n%3, rng.Intn(1e5))
		requests <- request{users[rng.Intn(len(users))], strings.Split(path, "/"), []byte(strings.Repeat(path, 1+n%9)),
			map[string][]string{"Accept": {"text/html", "*/*"}, "Host": {path[1:4]}}}
	}
	for n := 0; n < 3000; n++ {
		go func(r request) {
			time.Sleep(100 * time.Second)
			fmt.Println(r)
		}(<-requests)
	}
	time.Sleep(100 * time.Second)
	fmt.Println(len(byName))
}
