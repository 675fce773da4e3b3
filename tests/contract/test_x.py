def test_x(site):
    print(site.values.keys())
    print({k: type(v).__name__ for k,v in site.databases.items()})
    for s in ("vault","transfer","audit"):
        print(site.call(s,"GET","/readyz").text)
